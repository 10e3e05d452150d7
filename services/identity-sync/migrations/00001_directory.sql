-- +goose Up

create table organization (
    id          uuid primary key,
    name        text not null,
    create_time timestamptz not null,
    constraint organization_name_length check (char_length(name) between 1 and 200)
);
comment on table organization is 'The tenant. Every other row belongs to exactly one.';

call protect_by('organization', 'id', null);

create table environment (
    id              uuid primary key,
    organization_id uuid not null references organization (id),
    name            text not null,
    create_time     timestamptz not null,
    update_time     timestamptz not null,
    version         bigint not null,
    constraint environment_name_length check (char_length(name) between 1 and 200),
    constraint environment_name_unique unique (organization_id, name)
);
comment on table environment is 'One company whose people and apps are governed. Every organization has at least one, made with it.';

-- Each environment sees itself.
call protect_by('environment', 'organization_id', 'id');

-- Below, environment_id is the nil uuid where the organization itself is the
-- owner.

create table source (
    id              uuid primary key,
    organization_id uuid not null references organization (id),
    environment_id  uuid not null,
    name            text not null,
    kind            text not null,
    token_hash      bytea not null,
    create_time     timestamptz not null,
    last_seen_time  timestamptz,
    constraint source_kind check (kind in ('scim')),
    constraint source_name_unique unique (organization_id, environment_id, name),
    constraint source_token_unique unique (token_hash)
);
comment on table source is 'Where people come from: a SCIM client that pushes, with one bearer token.';
comment on column source.environment_id is 'Whose people it brings.';
comment on column source.token_hash is 'SHA-256 of the bearer token, which is kept nowhere.';
comment on column source.last_seen_time is 'When the source last showed its token, to the minute.';

call protect('source', 'environment');

-- Under row-level security an index is only used by conditions whose functions
-- cannot leak, and lower() is not one of them: hence the columns named _key.
create table users (
    id               uuid primary key,
    organization_id  uuid not null references organization (id),
    environment_id   uuid not null,
    source_id        uuid references source (id),
    external_id      text not null default '',
    user_name        text not null,
    user_name_key    text not null generated always as (lower(user_name)) stored,
    display_name     text not null,
    display_name_key text not null generated always as (lower(left(display_name, 200))) stored,
    search_key       text not null generated always as (lower(case when left(email, 200) = left(user_name, 200) then left(email, 200) else left(user_name, 200) || E'\n' || left(email, 200) end)) stored,
    given_name       text not null default '',
    family_name      text not null default '',
    email            text not null default '',
    email_keys       text[] not null default '{}',
    title            text not null default '',
    department       text not null default '',
    manager_ref      text not null default '',
    manager_ref_key  text not null generated always as (lower(manager_ref)) stored,
    manager_id       uuid references users (id),
    state            text not null,
    kind             text not null,
    role             text not null,
    role_environment_id uuid not null,
    accountable_user_id uuid references users (id),
    purpose          text not null,
    end_time         timestamptz,
    join_count           integer not null,
    joined           boolean not null,
    version          bigint not null,
    ended_credentials bigint not null default 0,
    attributes       json not null default '{}',
    create_time      timestamptz not null,
    update_time      timestamptz not null,
    constraint users_state check (state in ('active', 'suspended', 'removed')),
    constraint users_kind check (kind in ('employee', 'external', 'service', 'agent')),
    constraint users_accountable check ((kind in ('service', 'agent')) = (accountable_user_id is not null and purpose <> '' and end_time is not null)),
    constraint users_person check (kind in ('service', 'agent') or accountable_user_id is null and purpose = '' and end_time is null),
    constraint users_role_environment check (environment_id = '00000000-0000-0000-0000-000000000000' or role_environment_id = environment_id),
    constraint users_role check (role in ('admin', 'it_admin', 'risk_manager', 'member', 'external')),
    constraint users_join_count check (join_count >= 1),
    constraint users_version check (version >= 1),
    constraint users_active_joined check (state <> 'active' or joined),
    constraint users_user_name check (user_name <> ''),
    constraint users_name_lengths check (length(user_name) <= 512 and length(external_id) <= 512 and length(manager_ref) <= 512)
);
comment on table users is 'People. A removed one stays, so that history keeps its names, and may come back under the same id.';
comment on column users.source_id is 'The source that owns the person; null for the admin who signed up, and for services and agents.';
comment on column users.role_environment_id is 'The environment in which the role is held; the nil uuid if it is held in the whole organization.';
comment on column users.accountable_user_id is 'Who answers for a service or an agent.';
comment on column users.end_time is 'When a service or an agent is removed.';
comment on column users.email_keys is 'All e-mail addresses in lower case, to find the person by.';
comment on column users.search_key is 'User name and e-mail as they are searched, each up to 200 characters.';
comment on column users.manager_ref is 'The manager as the source names them, known here or not.';
comment on column users.manager_id is 'The manager, once known here.';
comment on column users.join_count is 'Counts how often the person has come.';
comment on column users.joined is 'Whether user.joined was emitted in this join_count: not before the user is active.';
comment on column users.ended_credentials is 'How often the version has risen for the end of a session or an API token, which is no change of the SCIM resource.';
comment on column users.attributes is 'The user as the source sent it, whole.';

-- By the name first, for the development sign-in, which does not know the
-- organization.
create unique index users_user_name_unique on users (user_name_key, organization_id, environment_id) where state <> 'removed';
create unique index users_external_id_unique on users (source_id, external_id) where state <> 'removed' and external_id <> '';
create index users_removed_by_user_name on users (source_id, user_name_key) where state = 'removed';
create index users_removed_by_external_id on users (source_id, external_id) where state = 'removed' and external_id <> '';
-- These two are read without the rows: they have all that is asked for when people
-- are counted, skipped or searched.
create index users_by_source on users (source_id, id) include (organization_id, environment_id) where state <> 'removed';
create index users_by_name on users (organization_id, display_name_key, id) include (environment_id, state, search_key);
create index users_waiting_for_manager on users (source_id, manager_ref_key) where manager_id is null and manager_ref <> '';
create index users_admins on users (organization_id) where role = 'admin' and state = 'active' and role_environment_id = '00000000-0000-0000-0000-000000000000';
create index users_by_accountable_user on users (accountable_user_id) where accountable_user_id is not null;

call protect('users', 'environment');

create table directory_group (
    id               uuid primary key,
    organization_id  uuid not null references organization (id),
    environment_id   uuid not null,
    source_id        uuid not null references source (id),
    external_id      text not null default '',
    display_name     text not null,
    display_name_key text not null generated always as (lower(left(display_name, 200))) stored,
    member_count     integer not null default 0,
    version          bigint not null,
    attributes       json not null default '{}',
    create_time      timestamptz not null,
    update_time      timestamptz not null,
    constraint directory_group_member_count check (member_count >= 0),
    constraint directory_group_version check (version >= 1),
    constraint directory_group_external_id_length check (length(external_id) <= 512)
);
comment on table directory_group is 'Groups of people, as their source knows them.';
comment on column directory_group.version is 'Counts up with every change, each member added or removed included.';

create unique index directory_group_external_id_unique on directory_group (source_id, external_id) where external_id <> '';
create index directory_group_by_source on directory_group (source_id, id);
create index directory_group_by_source_name on directory_group (source_id, display_name_key);
create index directory_group_by_name on directory_group (organization_id, display_name_key, id);

call protect('directory_group', 'environment');

create table group_member (
    group_id        uuid not null references directory_group (id) on delete cascade,
    user_id         uuid not null references users (id),
    organization_id uuid not null,
    create_time     timestamptz not null,
    primary key (group_id, user_id)
);
comment on table group_member is 'Who is in which group. Removed users are in none.';

create index group_member_by_user on group_member (user_id, group_id);

call protect('group_member', 'organization');
