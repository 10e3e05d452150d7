-- +goose Up

-- When people work: reminders and escalations count by it.
create table working_time (
    organization_id uuid not null,
    environment_id  uuid not null,
    spec            jsonb,
    version         bigint not null,
    update_time     timestamptz not null,
    primary key (organization_id, environment_id)
);
comment on table working_time is 'When people work, of environments and organizations that have said it.';
comment on column working_time.organization_id is 'The organization.';
comment on column working_time.environment_id is 'The environment whose it is; the nil uuid if it is the organization''s, which environments have that have none of their own.';
comment on column working_time.spec is 'The calendar. Null if the environment has dropped its own.';
comment on column working_time.version is 'Counts up with every change.';
comment on column working_time.update_time is 'When it was last changed.';
call protect('working_time', 'shared');
call carry_organization();
