-- +goose Up

create table environment_copy (
    id              uuid primary key,
    organization_id uuid not null,
    environment_id  uuid not null,
    name            text not null,
    version         bigint not null,
    removed         boolean not null,
    data            bytea not null
);
comment on table environment_copy is 'Environments, as identity-sync says. The row with the highest version stands.';
comment on column environment_copy.environment_id is 'The same as id: an environment belongs to itself.';
comment on column environment_copy.data is 'The gatehouse.identity.v1.Environment.';
call protect('environment_copy', 'environment');
