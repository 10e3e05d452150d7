-- +goose Up

-- What the catalog says of an app and of what can be held in it.
create domain catalog_state as text constraint catalog_state check (value in ('unspecified', 'listed', 'unlisted'));
create domain entitlement_risk as text constraint entitlement_risk check (value in ('unspecified', 'low', 'medium', 'high', 'critical'));

alter table app add column category text not null default '',
	add column tags text[] not null default '{}',
	add column sso_app_id uuid references app (id),
	add column instructions text not null default '',
	add column catalog_state catalog_state not null default 'unspecified';
comment on column app.sso_app_id is 'The app that it sits behind: one of the same owner that is not deleted, and never by way of others itself.';
comment on column app.catalog_state is 'An unlisted app is not requested, and seen only by who runs it, who sees all and who holds something in it.';
create index app_sso on app (sso_app_id) where sso_app_id is not null;

alter table entitlement add column risk entitlement_risk not null default 'unspecified';
call carry_organization();
