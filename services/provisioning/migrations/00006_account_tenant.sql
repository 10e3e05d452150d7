-- +goose Up

-- An id of an account is valid only where it was issued. Each address that an
-- integration has led to is a tenant.
create table integration_tenant (
    id               uuid primary key,
    organization_id  uuid not null,
    environment_id   uuid not null,
    integration_id   uuid not null,
    integration_name text not null,
    base_url         text not null,
    address          text not null,
    constraint integration_tenant_address unique (integration_id, address)
);
comment on table integration_tenant is 'Where integrations lead and have led, also those that are deleted.';
comment on column integration_tenant.address is 'Host and path of base_url: another one is another tenant.';
call protect('integration_tenant', 'environment');

alter table integration add column tenant_id uuid not null default gen_random_uuid();
comment on column integration.tenant_id is 'The tenant that base_url leads to.';
insert into integration_tenant (id, organization_id, environment_id, integration_id, integration_name, base_url, address)
select i.tenant_id, i.organization_id, i.environment_id, i.id, i.name, i.base_url,
    lower(split_part(a.rest, '/', 1)) || substr(a.rest, length(split_part(a.rest, '/', 1)) + 1)
from integration i, lateral (select rtrim(regexp_replace(trim(i.base_url), '^https?://', '', 'i'), '/') as rest) a;

alter table account
    add column tenant_id uuid,
    add column adopted boolean not null default false,
    add column had uuid[] not null default '{}',
    add column found_id text not null default '',
    add column found_name text not null default '',
    add column left_behind jsonb;
comment on column account.tenant_id is 'Where external_id is valid, and where what is known was seen; null for what a person has said.';
comment on column account.adopted is 'It was there before: it goes only with its owner.';
comment on column account.had is 'Entitlements that it had before they were to be added: they are not taken away.';
comment on column account.found_id is 'An account that is there with the person''s user name, and of which nobody has said whose it is.';
comment on column account.left_behind is 'Accounts that the integration does not reach any more, and where they are.';
update account a set tenant_id = i.tenant_id from app_copy p join integration i on i.id = p.integration_id where p.id = a.app_id and a.external_id <> '';

alter domain work_item_kind drop constraint work_item_kind;
alter domain work_item_kind add constraint work_item_kind
    check (value in ('create_account', 'assign', 'unassign', 'remove_account', 'fix_operation', 'change_secret', 'adopt_account', 'remove_left_account'));
