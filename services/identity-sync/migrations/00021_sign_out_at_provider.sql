-- +goose Up

-- Signing out at the identity provider (OpenID Connect RP-Initiated Logout 1.0). What is
-- added to other tables has transactions of its own: replicas of before, which go on
-- meanwhile, lock these tables in one order and in the other.
alter table identity_provider add column if not exists sign_out_at_provider boolean not null default false;
comment on column identity_provider.sign_out_at_provider is 'Whether people who sign out are sent to the provider to sign out there too.';
