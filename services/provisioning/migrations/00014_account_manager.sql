-- +goose Up

-- An account names the account of its person's manager in the same app.
alter table account add column manager jsonb;
comment on column account.manager is
    'Which account Gatehouse has named as that of the person''s manager, by the app''s id, and which it may have; of an account that was there before, who the manager was when it became known: until that changes it names whom it did. Null: nothing was written.';
update account a set manager = jsonb_strip_nulls(jsonb_build_object('found', true, 'of', u.manager_id))
from user_copy u where u.id = a.user_id and a.adopted and a.profile is not null;

create index user_copy_by_manager on user_copy (manager_id) where manager_id is not null;

-- Accounts of before name their managers within a day: an app is not to get all of that at once.
insert into due (kind, key, organization_id, due_time, try_time, attempts, error)
select 'reconcile_account', d.id, d.organization_id, d.at, d.at, 0, ''
from (
    select a.id, a.organization_id, now() + random() * interval '1 day' as at
    from account a
        join app_copy p on p.id = a.app_id and p.provisioning = 'automatic' and not p.removed
        join integration i on i.id = p.integration_id and i.tenant_id = a.tenant_id
        join user_copy u on u.id = a.user_id and not u.removed
        join user_copy b on b.id = u.manager_id and not b.removed
        join account m on m.user_id = u.manager_id and m.app_id = a.app_id and m.tenant_id = a.tenant_id
    where a.state = 'active' and not a.account_in_doubt and not a.adopted and a.profile is not null
      and m.state <> 'absent' and not m.account_in_doubt and m.external_id <> ''
    order by a.id) d
on conflict (kind, key) do nothing;
