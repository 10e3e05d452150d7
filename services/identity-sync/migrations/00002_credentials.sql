-- +goose Up

create table api_token (
    id              uuid primary key,
    organization_id uuid not null,
    user_id         uuid not null references users (id),
    name            text not null,
    read_only       boolean not null,
    prefix          text not null,
    token_hash      bytea not null,
    create_time     timestamptz not null,
    expire_time     timestamptz not null,
    last_use_time   timestamptz,
    revoke_time     timestamptz,
    constraint api_token_name_length check (char_length(name) between 1 and 200),
    constraint api_token_expires_later check (expire_time > create_time),
    constraint api_token_hash_unique unique (token_hash)
);
comment on table api_token is 'Secrets with which programs act as the user who made them. Kept after their end, for the list.';
comment on column api_token.token_hash is 'SHA-256 of the token, which is kept nowhere.';
comment on column api_token.last_use_time is 'When it was last exchanged, to the minute. May lag after a power cut.';

create index api_token_newest on api_token (organization_id, create_time desc, id desc);
create index api_token_by_user on api_token (user_id, create_time desc, id desc);

call protect('api_token', 'organization');

create table session (
    id              uuid primary key,
    organization_id uuid not null,
    user_id         uuid not null references users (id),
    token_hash      bytea not null,
    user_agent      text not null,
    create_time     timestamptz not null,
    expire_time     timestamptz not null,
    constraint session_token_unique unique (token_hash)
);
comment on table session is 'People who are signed in. The row goes when the session ends.';
comment on column session.token_hash is 'SHA-256 of the session token, which is kept nowhere.';

create index session_by_user on session (user_id, create_time desc, id desc);
create index session_by_expiry on session (expire_time);

call protect('session', 'organization');

create table signing_key (
    id          text primary key,
    private_key bytea not null,
    create_time timestamptz not null,
    use_time    timestamptz not null,
    end_time    timestamptz,
    constraint signing_key_order check (use_time >= create_time and end_time > use_time)
);
comment on table signing_key is 'Keys that signed tokens are made with, shared by all replicas. Belongs to no organization.';
comment on column signing_key.id is 'The kid of tokens: the thumbprint of the public key (RFC 7638).';
comment on column signing_key.private_key is 'The key as JWK, sealed with the service''s encryption key for this id.';
comment on column signing_key.use_time is 'From when tokens are signed with it. It is published before, so that everybody knows it by then.';
comment on column signing_key.end_time is 'When the last token signed with it has ended, with room to spare; null for the newest.';
