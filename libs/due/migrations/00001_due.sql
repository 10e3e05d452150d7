-- +goose Up

create table due (
    kind            text not null,
    key             uuid not null,
    organization_id uuid not null,
    due_time        timestamptz not null,
    try_time        timestamptz not null,
    attempts        integer not null,
    claim           uuid,
    error           text not null,
    primary key (kind, key)
) with (fillfactor = 80);
comment on table due is 'What is to happen at or after a time. A row is written in the transaction that makes it due and deleted in the transaction of its effect.';
comment on column due.key is 'What it is about, such as the id of a grant. At most one thing of a kind is due for it.';
comment on column due.try_time is 'When to try next: at first due_time, or when it was added if that is later; the end of the lease while it is claimed, the end of the pause after a failure.';
comment on column due.attempts is 'How often it has failed.';
comment on column due.claim is 'The claim of whoever works on it. Null once it has failed or was scheduled anew.';

-- What has failed is claimed apart, so that it is never in front of what has not.
create index due_first_try on due (kind, try_time) where attempts = 0;
create index due_retry on due (kind, try_time) where attempts > 0;

alter table due set (
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000,
    autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 20000
);

call protect('due', 'organization');

-- +goose Down
drop table due;
