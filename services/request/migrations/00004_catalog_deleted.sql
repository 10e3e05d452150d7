-- +goose Up

-- What is deleted stays, for what has happened with it.
alter table app add column delete_time timestamptz;
drop index app_name;
create unique index app_name on app (organization_id, environment_id, lower(name)) where delete_time is null;
comment on column app.delete_time is 'When it was deleted. A request locks the row against that, and looks, before it is made.';

alter table entitlement add column delete_time timestamptz,
	add constraint entitlement_account_stays check (kind <> 'account' or delete_time is null);
drop index entitlement_name;
create unique index entitlement_name on entitlement (app_id, lower(name)) where delete_time is null;
comment on column entitlement.delete_time is 'When it was deleted by itself; those of a deleted app are as they were.';

create index grant_copy_by_entitlement on grant_copy (entitlement_id) where not removed;
