-- +goose Up

alter table organization
    add column remove_suspended_after_days integer,
    add constraint organization_remove_suspended_after check (remove_suspended_after_days between 1 and 3650);
comment on column organization.remove_suspended_after_days is 'How long a person may be suspended before they are removed; null: for ever.';

alter table users add column suspend_time timestamptz;
comment on column users.suspend_time is 'Since when the person is suspended; null if they are not. Kept by a trigger.';

-- The owner sees every row while this is done. When somebody was suspended was not
-- recorded; the last change is not before it.
alter table users no force row level security;

update users set suspend_time = update_time where state = 'suspended';

alter table users force row level security;

-- A trigger, so that a replica that does not know the column keeps it too.
-- +goose StatementBegin
create function keep_suspend_time() returns trigger language plpgsql as $$
begin
    if new.state <> 'suspended' then
        new.suspend_time := null;
    elsif tg_op = 'INSERT' or old.state <> 'suspended' then
        new.suspend_time := new.update_time;
    end if;
    return new;
end $$;
-- +goose StatementEnd
comment on function keep_suspend_time is 'Has users.suspend_time say since when a person is suspended.';

create trigger users_suspend_time before insert or update of state on users for each row execute function keep_suspend_time();

create index users_suspended on users (organization_id, id) where state = 'suspended';
