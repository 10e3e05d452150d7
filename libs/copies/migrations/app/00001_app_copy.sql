-- +goose Up

create table app_copy (
    id                         uuid primary key,
    organization_id            uuid not null,
    environment_id             uuid not null,
    name                       text not null,
    owner_id                   uuid,
    admin_ids                  uuid[] not null,
    approver_ids               uuid[] not null,
    provisioning               text not null,
    integration_id             uuid,
    deprovisioning_action      text not null,
    offered_to_all_environments boolean not null,
    offered_environment_ids    uuid[] not null,
    version                    bigint not null,
    removed                    boolean not null,
    data                       bytea not null
);
comment on table app_copy is 'Apps, as request says. The row with the highest version stands.';
comment on column app_copy.provisioning is 'none, manual or automatic; unspecified counts as manual.';
comment on column app_copy.deprovisioning_action is 'remove or disable; unspecified counts as remove.';
comment on column app_copy.data is 'The gatehouse.request.v1.App.';
create index app_copy_by_integration on app_copy (integration_id) where integration_id is not null;
call protect('app_copy', 'shared');
