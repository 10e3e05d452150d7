-- +goose Up

create table group_copy (
    id              uuid primary key,
    organization_id uuid not null,
    environment_id  uuid not null,
    source_id       uuid,
    display_name    text not null,
    version         bigint not null,
    removed         boolean not null,
    members_version bigint not null default 0,
    rebuild         bigint not null,
    data            bytea not null
);
comment on table group_copy is 'Groups, as identity-sync says. The row with the highest version stands. A group that is removed never comes back.';
comment on column group_copy.members_version is 'The version of which all members are known, from a snapshot: an event up to it changes no membership. 0 for none.';
comment on column group_copy.rebuild is 'The rebuild, as copy_state counts them, in which the group was last known to be there. One that is there from before and that a later snapshot does not have is gone.';
comment on column group_copy.data is 'The gatehouse.identity.v1.Group.';
call protect('group_copy', 'shared');

create table group_member_copy (
    group_id        uuid not null references group_copy (id),
    user_id         uuid not null,
    organization_id uuid not null,
    environment_id  uuid not null,
    version         bigint not null,
    removed         boolean not null,
    primary key (group_id, user_id)
);
comment on table group_member_copy is 'Who is in which group. Who went out keeps a row, so that an older event cannot put them back in. Of a removed group nobody is a member.';
comment on column group_member_copy.version is 'Version of the group that says so.';
create index group_member_copy_by_user on group_member_copy (user_id, group_id) where not removed;
call protect('group_member_copy', 'shared');
