-- +goose Up

alter table session add column if not exists id_token bytea;
comment on column session.id_token is 'The last ID token of the identity provider, sealed with the organization''s key for this session; null unless people sign out there. It goes with the session.';
