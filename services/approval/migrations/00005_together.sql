-- +goose Up

-- What one person decides by the same step of the same flow is one task for them.
alter table task add column together uuid, add column place integer;
comment on column task.together is 'The same for the tasks of a reviewer in a request that are decided by the same rule. Null for older ones, which are listed each by itself.';
comment on column task.place is 'The order among these: that of the items.';
create index task_together on task (together, state, place) where together is not null;
