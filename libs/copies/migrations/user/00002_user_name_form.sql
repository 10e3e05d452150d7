-- +goose Up

-- People are found by user name, compared as identity-sync compares it. A column of its
-- own: row-level security lets no index of an expression be used.
alter table user_copy add column user_name_form text generated always as (lower(normalize(user_name, NFKC))) stored;
comment on column user_copy.user_name_form is 'The user name as it is compared.';
create index user_copy_by_user_name_form on user_copy (user_name_form, organization_id) where not removed;
