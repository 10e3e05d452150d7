-- +goose Up

-- Signing out at the identity provider (OpenID Connect RP-Initiated Logout 1.0).
alter table identity_provider add column sign_out_at_provider boolean not null default false;
comment on column identity_provider.sign_out_at_provider is 'Whether people who sign out are sent to the provider to sign out there too.';

alter table session add column id_token bytea;
comment on column session.id_token is 'The last ID token of the identity provider, sealed with the organization''s key for this session; null unless people sign out there. It goes with the session.';

-- An address is one of an organization: who looks for one within an organization passes
-- over no other's. It comes after the address, for replicas that look for that alone.
alter table user_email
    drop constraint user_email_pkey,
    add constraint user_email_pkey primary key (email_key, organization_id, user_id);
