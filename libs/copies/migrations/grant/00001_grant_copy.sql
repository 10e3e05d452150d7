-- +goose Up

-- With fillfactor: a grant changes several times. Room on the page lets an
-- update stay there.
create table grant_copy (
    id              uuid primary key,
    organization_id uuid not null,
    environment_id  uuid not null,
    user_id         uuid not null,
    app_id          uuid,
    entitlement_id  uuid not null,
    request_id      uuid,
    item_id         uuid,
    state           text not null,
    until           timestamptz,
    activate_time   timestamptz,
    end_reason      text not null,
    version         bigint not null,
    removed         boolean not null,
    data            bytea not null
) with (fillfactor = 80);
comment on table grant_copy is 'Grants, as provisioning says. The row with the highest version stands.';
comment on column grant_copy.removed is 'Whether the state is revoked.';
comment on column grant_copy.data is 'The gatehouse.provisioning.v1.Grant.';
create index grant_copy_by_user on grant_copy (user_id, entitlement_id) where not removed;
call protect('grant_copy', 'environment');
