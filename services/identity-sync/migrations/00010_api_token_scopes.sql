-- +goose Up

alter table api_token add column scopes text[] not null default '{}';
alter table api_token alter column scopes drop default;
comment on column api_token.scopes is 'What it is narrowed to, such as "requests:read"; empty: all that its user may do.';
