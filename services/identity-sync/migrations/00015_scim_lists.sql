-- +goose Up

-- What a source's people are found by, each with an index. Under row-level security an
-- index serves only what cannot leak, which arrays do not promise: hence a row for
-- each address.
-- +goose StatementBegin
create function email_key(address text) returns text language sql immutable parallel safe
return case when length(address) <= 200 then lower(address) else lower(left(address, 200)) || md5(lower(address)) end;
-- +goose StatementEnd
comment on function email_key is 'An e-mail address as it is found by: in lower case, and short enough for an index.';

create table user_email (
    email_key       text not null,
    user_id         uuid not null,
    organization_id uuid not null,
    primary key (email_key, user_id),
    constraint user_email_user foreign key (user_id, organization_id) references users (id, organization_id) on delete cascade
);
comment on table user_email is 'The e-mail addresses of users.email_keys, each in a row of its own, to find people by.';
comment on column user_email.email_key is 'The address as email_key() has it.';

create index user_email_by_user on user_email (user_id);

-- The owner sees every row while this is done.
alter table users no force row level security;

insert into user_email (email_key, user_id, organization_id)
select distinct email_key(k), u.id, u.organization_id from users u, unnest(u.email_keys) as k;

alter table users force row level security;

call protect('user_email', 'organization');

-- A trigger, so that a replica that does not know the table keeps it too.
-- +goose StatementBegin
create function keep_user_email() returns trigger language plpgsql as $$
begin
    if tg_op = 'UPDATE' then
        delete from user_email where user_id = new.id and not email_key = any(array(select email_key(k) from unnest(new.email_keys) as k));
    end if;
    insert into user_email (email_key, user_id, organization_id)
    select distinct email_key(k), new.id, new.organization_id from unnest(new.email_keys) as k
    on conflict do nothing;
    return null;
end $$;
-- +goose StatementEnd
comment on function keep_user_email is 'Has user_email say what users.email_keys says.';

create trigger users_email_insert after insert on users for each row when (cardinality(new.email_keys) > 0) execute function keep_user_email();
create trigger users_email_update after update of email_keys on users for each row when (new.email_keys <> old.email_keys) execute function keep_user_email();

-- Names that begin with something are a range in the order of their characters, and
-- in no other.
create index users_by_source_user_name on users (source_id, user_name_form collate "C", id) include (organization_id, environment_id) where state <> 'removed';
create index users_by_source_update_time on users (source_id, update_time, id) include (organization_id, environment_id) where state <> 'removed';
create index directory_group_by_source_update_time on directory_group (source_id, update_time, id) include (organization_id, environment_id);
