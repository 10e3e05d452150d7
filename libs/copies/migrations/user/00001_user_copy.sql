-- +goose Up

create table user_copy (
    id                  uuid primary key,
    organization_id     uuid not null,
    environment_id      uuid not null,
    source_id           uuid,
    user_name           text not null,
    display_name        text not null,
    given_name          text not null,
    family_name         text not null,
    email               text not null,
    title               text not null,
    department          text not null,
    manager_id          uuid,
    state               text not null,
    kind                text not null,
    role                text not null,
    role_environment_id uuid not null,
    accountable_user_id uuid,
    end_time            timestamptz,
    join_count          integer not null,
    version             bigint not null,
    removed             boolean not null,
    data                bytea not null
);
comment on table user_copy is 'Users, as identity-sync says. The row with the highest version stands. Who has left stays, and may come back.';
comment on column user_copy.environment_id is 'The nil uuid for one of the organization''s own.';
comment on column user_copy.role_environment_id is 'The nil uuid for a role in the whole organization.';
comment on column user_copy.removed is 'Whether the state is removed.';
comment on column user_copy.data is 'The gatehouse.identity.v1.User.';
create index user_copy_by_environment on user_copy (organization_id, environment_id, id) where not removed;
call protect('user_copy', 'shared');
