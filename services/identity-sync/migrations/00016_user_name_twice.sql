-- +goose Up

-- users.user_name_twice says that somebody else is there under the user name, who was
-- there before. It is kept here, and nowhere else: it goes with the name, with the one
-- who has it, and with the one who had it before. It never comes.
comment on column users.user_name_twice is 'Somebody else is there under a user name of the same form, and had it when names began to be compared by it. Kept by triggers.';

-- Whoever gets another name, leaves or comes to belong elsewhere has it no more: from
-- there on the name is theirs alone, or refused.
-- +goose StatementBegin
create function end_user_name_twice() returns trigger language plpgsql as $$
begin
    if new.state = 'removed' or new.environment_id <> old.environment_id or lower(normalize(new.user_name, NFKC)) <> old.user_name_form then
        new.user_name_twice := false;
    end if;
    return new;
end $$;

-- If it was the one who had the name before, one of the others has it in their place.
-- The rows are locked first, as the others may be on their way out as well.
create function pass_user_name_on() returns trigger language plpgsql as $$
begin
    perform from users u
    where u.user_name_form = old.user_name_form and u.organization_id = old.organization_id and u.environment_id = old.environment_id
        and u.state <> 'removed' and u.user_name_twice
    order by u.id for update;
    if found then
        update users u set user_name_twice = false
        where u.id = (
            select o.id from users o
            where o.user_name_form = old.user_name_form and o.organization_id = old.organization_id and o.environment_id = old.environment_id
                and o.state <> 'removed'
            order by o.user_name_twice, o.id limit 1);
    end if;
    return null;
end $$;
-- +goose StatementEnd
comment on function end_user_name_twice is 'Has users.user_name_twice go with the name.';
comment on function pass_user_name_on is 'Has users.user_name_twice go from the next who has the name, when the one who had it before is gone.';

create trigger users_user_name_twice before update of user_name, state, environment_id on users
    for each row when (old.user_name_twice) execute function end_user_name_twice();
create trigger users_user_name_passed_on after update of user_name, state, environment_id on users
    for each row when (not old.user_name_twice and old.state <> 'removed'
        and (new.state = 'removed' or new.environment_id <> old.environment_id or new.user_name_form <> old.user_name_form))
    execute function pass_user_name_on();

-- What it should be already. The owner sees every row while this is done.
alter table users no force row level security;

update users set user_name_twice = false where user_name_twice and state = 'removed';
update users u set user_name_twice = false
where u.user_name_twice and not exists (
    select from users o
    where o.user_name_form = u.user_name_form and o.organization_id = u.organization_id and o.environment_id = u.environment_id
        and o.state <> 'removed' and o.id <> u.id and (not o.user_name_twice or o.id < u.id));

alter table users force row level security;
