-- +goose Up

create table entitlement_copy (
    id              uuid primary key,
    organization_id uuid not null,
    environment_id  uuid not null,
    app_id          uuid not null,
    name            text not null,
    kind            text not null,
    ref             text not null,
    version         bigint not null,
    removed         boolean not null,
    data            bytea not null
);
comment on table entitlement_copy is 'What can be held in apps, as request says. The row with the highest version stands.';
comment on column entitlement_copy.data is 'The gatehouse.request.v1.Entitlement.';
create index entitlement_copy_by_app on entitlement_copy (app_id, id);
call protect('entitlement_copy', 'shared');
