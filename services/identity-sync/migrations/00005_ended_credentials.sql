-- +goose Up

create table ended_credential (
    token_hash      bytea primary key,
    organization_id uuid not null,
    kind            text not null,
    credential_id   uuid not null,
    user_id         uuid,
    keep_until      timestamptz not null,
    constraint ended_credential_kind check (kind in ('session', 'source')),
    constraint ended_credential_user_of_session check ((kind = 'session') = (user_id is not null)),
    constraint ended_credential_user foreign key (user_id, organization_id) references users (id, organization_id)
);
comment on table ended_credential is 'Session tokens and source tokens that are good no more, so that the audit log can say whose it is that is still used.';
comment on column ended_credential.token_hash is 'SHA-256 of the token, which is kept nowhere.';
comment on column ended_credential.credential_id is 'The session, or the source that has another token now.';
comment on column ended_credential.keep_until is 'When the session would have ended in any case; a year after a source token was replaced.';

create index ended_credential_by_end on ended_credential (keep_until);

call protect('ended_credential', 'organization');
