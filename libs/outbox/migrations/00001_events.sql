-- +goose Up

create table outbox (
    seq             bigint generated always as identity primary key,
    id              uuid not null,
    organization_id uuid not null,
    subject         text not null,
    type            text not null,
    aggregate_id    uuid not null,
    event_time      timestamptz not null,
    traceparent     text not null,
    bulk            boolean not null,
    data            bytea not null
);
comment on table outbox is 'Events that are committed and that the bus may not have on disk yet. Written in the transaction of the change they tell of, published in the order of seq, deleted once the bus has them on disk.';
comment on column outbox.seq is 'Order of publishing. Two events of one aggregate have it in the order of their changes, because the second change waits for the first one''s row lock.';

-- Rows live for milliseconds.
alter table outbox set (
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000,
    autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 20000,
    autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 20000,
    autovacuum_vacuum_cost_delay = 0
);

call protect('outbox', 'organization');

create table inbox (
    event_id        uuid primary key,
    stream_created  timestamptz not null,
    stream_sequence bigint not null,
    handled_at      timestamptz not null default now()
);
comment on table inbox is 'Events that have taken effect here, so that one that is delivered again changes nothing. Written in the transaction of the effect. Belongs to no organization: it holds ids only.';
comment on column inbox.stream_created is 'Which stream the sequence counts in: a stream that is made anew starts from 1.';

create index inbox_by_position on inbox (stream_created, stream_sequence);
-- For pruning. Rows are appended, so a few pages of index do.
create index inbox_by_age on inbox using brin (handled_at);

create table inbox_attempt (
    event_id uuid primary key,
    attempts integer not null,
    error    text not null,
    tried_at timestamptz not null default now()
);
comment on table inbox_attempt is 'How often an event that has not taken effect yet was tried, so that the count survives restarts and is the same for every replica. Belongs to no organization: it is gone once the event is handled or parked.';

create table parked_event (
    event_id        uuid primary key,
    organization_id uuid not null,
    type            text not null,
    subject         text not null,
    aggregate_id    text not null,
    event_time      timestamptz not null,
    headers         jsonb not null,
    data            bytea not null,
    stream_created  timestamptz not null,
    stream_sequence bigint not null,
    error           text not null,
    attempts        integer not null,
    parked_at       timestamptz not null default now()
);
comment on table parked_event is 'Events that could not be handled here, whole, until somebody replays them. Each is in inbox too, so that one that is delivered again waits with it.';

create index parked_event_by_organization on parked_event (organization_id, parked_at, event_id);

call protect('parked_event', 'organization');

-- +goose Down
drop table parked_event;
drop table inbox_attempt;
drop table inbox;
drop table outbox;
