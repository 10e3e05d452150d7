-- +goose Up

alter table organization add column sign_in_name text;
update organization o set sign_in_name = n.name || case when n.again = 1 then '' else '-' || left(md5(n.id::text), 8) end
from (
    select id, name, row_number() over (partition by name order by create_time, id) as again
    from (select id, create_time, left(coalesce(nullif(btrim(regexp_replace(lower(name), '[^a-z0-9]+', '-', 'g'), '-'), ''), 'organization'), 60) as name from organization) s) n
where n.id = o.id;
alter table organization alter column sign_in_name set not null,
    add constraint organization_sign_in_name check (sign_in_name ~ '^[a-z0-9-]{1,100}$'),
    add constraint organization_sign_in_name_unique unique (sign_in_name);
comment on column organization.sign_in_name is 'The name by which people find where to sign in.';

create table identity_provider (
    id                 uuid primary key,
    organization_id    uuid not null references organization (id),
    environment_id     uuid not null,
    name               text not null,
    issuer             text not null,
    client_id          text not null,
    client_secret      bytea,
    source_id          uuid,
    user_claim         text not null,
    user_field         text not null,
    step_up_acr_values text[] not null,
    scopes             text[] not null,
    state              text not null,
    create_time        timestamptz not null,
    update_time        timestamptz not null,
    version            bigint not null,
    constraint identity_provider_name_length check (char_length(name) between 1 and 200),
    constraint identity_provider_name_unique unique (organization_id, environment_id, name),
    constraint identity_provider_organization unique (id, organization_id),
    constraint identity_provider_source foreign key (source_id, organization_id) references source (id, organization_id),
    constraint identity_provider_user_field check (user_field in ('external_id', 'user_name')),
    constraint identity_provider_state check (state in ('disabled', 'enabled')),
    constraint identity_provider_complete check (state = 'disabled' or client_id <> ''),
    constraint identity_provider_version check (version >= 1)
);
comment on table identity_provider is 'OpenID providers by which users sign in.';
comment on column identity_provider.environment_id is 'That of the source; the nil uuid if it is the organization''s own.';
comment on column identity_provider.client_secret is 'Sealed with the service''s encryption key for this id; null for a public client.';

call protect('identity_provider', 'environment');

create table user_identity (
    id                   uuid primary key,
    organization_id      uuid not null,
    identity_provider_id uuid not null,
    subject              text not null,
    user_id              uuid not null,
    create_time          timestamptz not null,
    last_sign_in_time    timestamptz,
    constraint user_identity_provider foreign key (identity_provider_id, organization_id) references identity_provider (id, organization_id) on delete cascade,
    constraint user_identity_user foreign key (user_id, organization_id) references users (id, organization_id),
    constraint user_identity_subject_unique unique (identity_provider_id, subject),
    constraint user_identity_user_unique unique (user_id, identity_provider_id),
    constraint user_identity_subject_length check (char_length(subject) between 1 and 255)
);
comment on table user_identity is 'Identities at identity providers, and whose they are. Those of a removed user are gone: who comes back is found anew.';

call protect('user_identity', 'organization');

create table sign_in_link (
    id              uuid primary key,
    organization_id uuid not null,
    user_id         uuid not null,
    secret_hash     bytea not null,
    create_time     timestamptz not null,
    expire_time     timestamptz not null,
    constraint sign_in_link_user foreign key (user_id, organization_id) references users (id, organization_id),
    constraint sign_in_link_secret_unique unique (secret_hash),
    constraint sign_in_link_expires_later check (expire_time > create_time)
);
comment on table sign_in_link is 'One-time links made at the machine. The row goes when the link is used or its time is over.';
comment on column sign_in_link.secret_hash is 'SHA-256 of the secret, which is kept nowhere.';

create index sign_in_link_by_user on sign_in_link (user_id);

call protect('sign_in_link', 'organization');

alter table session
    add column method text not null default 'development',
    add column identity_provider_id uuid,
    add column subject text not null default '',
    add column provider_session text not null default '',
    add column auth_time timestamptz,
    add column last_use_time timestamptz,
    add constraint session_method check (method in ('development', 'sign_up', 'link', 'openid_connect')),
    add constraint session_provider foreign key (identity_provider_id, organization_id) references identity_provider (id, organization_id),
    add constraint session_by_provider check ((method = 'openid_connect') = (identity_provider_id is not null and subject <> ''));
update session set last_use_time = create_time;
alter table session alter column method drop default, alter column last_use_time set not null;
comment on column session.subject is 'Who signed in, at the identity provider.';
comment on column session.provider_session is 'Session id (sid) at the identity provider, by which it ends it.';
comment on column session.auth_time is 'When the user last proved who they are, strongly enough; null if not.';
comment on column session.last_use_time is 'When it was last exchanged, to the minute. May lag after a power cut.';

create index session_at_provider on session (identity_provider_id, subject) where identity_provider_id is not null;
