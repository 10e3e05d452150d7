-- +goose Up

-- User names are compared by their normal form: in any case and width, composed or
-- not. Of the characters that user names may have (RFC 8265) NFKC maps those of
-- another width, and no others.
alter table users
    add column user_name_form text generated always as (lower(normalize(user_name, NFKC))) stored,
    add column user_name_twice boolean not null default false;
comment on column users.user_name_form is 'The user name as it is compared.';
comment on column users.user_name_twice is 'Somebody had a user name of the same form already when names began to be compared by it.';

-- The owner sees every row while this is done.
alter table users no force row level security;

update users u set user_name_twice = true
where u.state <> 'removed' and exists (
    select from users o
    where o.user_name_form = u.user_name_form and o.organization_id = u.organization_id and o.environment_id = u.environment_id
        and o.state <> 'removed' and o.id < u.id);

alter table users force row level security;

create unique index users_user_name_form_unique on users (user_name_form, organization_id, environment_id) where state <> 'removed' and not user_name_twice;
create index users_by_user_name_form on users (user_name_form, organization_id);
drop index users_removed_by_user_name;
