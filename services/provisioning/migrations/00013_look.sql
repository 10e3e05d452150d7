-- +goose Up

-- An integration may be one that can only read.
create domain integration_access as text constraint integration_access check (value in ('read_write', 'read_only'));
alter table integration add column access integration_access not null default 'read_write';
comment on column integration.access is 'read_only: nothing but looking is ever asked of the app with it.';

-- While people make the changes in an app, its integration looks. A replica that does not
-- know of this sees an operation with nothing to do.
alter table operation add column look jsonb;
comment on column operation.look is 'What is looked at, again and again, while people make the changes; null if the operation makes those of its plan.';
create index operation_looking on operation (integration_id) where look is not null and state in ('queued', 'running');

alter table account
    add column none_tenant_id uuid,
    add column none_user_name text not null default '';
comment on column account.none_tenant_id is 'Where a look has found no account of the person since one is to be made by hand; null if none has.';
comment on column account.none_user_name is 'The user name by which that look has looked.';
