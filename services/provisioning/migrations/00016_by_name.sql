-- +goose Up

alter table account
    add column by_name boolean not null default false,
    add column questioned boolean not null default false;
comment on column account.by_name is 'Whether the account is taken for the person''s by what a person has said and its user name alone: it may be somebody else''s.';
comment on column account.questioned is 'Whether people were told so when they had said that it is gone.';

-- Accounts that people are asked something about in an app with an integration are looked
-- at, also if a release that did not know of looks was the last to reconcile them: within
-- an hour, as an app is not to get all of that at once.
insert into due (kind, key, organization_id, due_time, try_time, attempts, error)
select 'reconcile_account', d.id, d.organization_id, d.at, d.at, 0, ''
from (
    select a.id, a.organization_id, now() + random() * interval '1 hour' as at
    from account a join app_copy p on p.id = a.app_id and p.integration_id is not null and p.provisioning is distinct from 'automatic' and not p.removed
    where exists (select from work_item w where w.user_id = a.user_id and w.app_id = a.app_id and w.state = 'open')
    order by a.id) d
on conflict (kind, key) do nothing;
