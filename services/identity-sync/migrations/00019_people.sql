-- +goose Up

-- People who were removed for being suspended for too long are still there for their
-- source, which has not removed them. The trigger from before takes it away from whoever
-- is there again, also where a replica has them join that does not know the column.
alter table users add column timed_out boolean not null default false;
comment on column users.timed_out is 'Of somebody removed: it was for being suspended for too long, and their source has not deleted them since. It knows them by id and may switch them on again.';

-- +goose StatementBegin
create or replace function keep_suspend_time() returns trigger language plpgsql as $$
begin
    if new.state <> 'suspended' then
        new.suspend_time := null;
    elsif tg_op = 'INSERT' or old.state <> 'suspended' then
        new.suspend_time := new.update_time;
    end if;
    if new.state <> 'removed' then
        new.timed_out := false;
    end if;
    return new;
end $$;
-- +goose StatementEnd
comment on function keep_suspend_time is 'Has users.suspend_time say since when a person is suspended, and users.timed_out nothing of who is there.';
