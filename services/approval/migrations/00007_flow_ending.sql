-- +goose Up

-- What hangs on a flow is shown before it is deleted, and ended if that is chosen.
alter table approval add column flow_ids uuid[];
comment on column approval.flow_ids is 'The flows that decide what is not decided yet of it. Null if it was last written before this was kept; maintenance fills it.';

alter table flow add column ending jsonb;
comment on column flow.ending is 'What maintenance is still to end of what hangs on a deleted flow, and in whose name. Null if nothing.';
create index flow_ending_index on flow (id) where ending is not null;
