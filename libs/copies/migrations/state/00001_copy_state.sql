-- +goose Up

create table copy_state (
    kind               text primary key,
    shape              integer not null default 0,
    wanted             bigint not null default 1,
    begun              bigint not null default 0,
    done               bigint not null default 0,
    begin_time         timestamptz,
    done_time          timestamptz,
    stream_create_time timestamptz,
    stream_sequence    bigint not null default 0,
    constraint copy_state_order check (done <= begun and begun <= wanted)
);
comment on table copy_state is 'How far each kind of copy is. Rebuilds are counted from 1. Belongs to no organization.';
comment on column copy_state.shape is 'Which columns the last finished rebuild has filled: the number is in the code.';
comment on column copy_state.wanted is 'The rebuild that must be done. Higher than done: the copy is not complete, or not to be relied on.';
comment on column copy_state.begun is 'The last rebuild that was begun.';
comment on column copy_state.done is 'The last rebuild that was finished; 0 if the copy has never been complete.';
comment on column copy_state.stream_sequence is 'The copy has the effect of every event of the stream made at stream_create_time up to here, and perhaps of later ones.';
