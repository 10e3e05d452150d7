-- +goose Up

-- What is requested as one. What is in it may be gone: it is left out then, and shown as gone.
create table bundle (
	id uuid primary key,
	organization_id uuid not null,
	environment_id uuid not null,
	name text not null,
	description text not null,
	entitlement_ids uuid[] not null,
	create_time timestamptz not null,
	update_time timestamptz not null,
	delete_time timestamptz,
	version bigint not null,
	constraint bundle_entitlements check (cardinality(entitlement_ids) between 1 and 50)
);
create unique index bundle_name on bundle (organization_id, environment_id, lower(name)) where delete_time is null;
comment on table bundle is 'Entitlements that are requested as one, in the order that they are shown in.';
call protect('bundle', 'shared');

alter table request_item add column bundle_id uuid, add column bundle_name text not null default '';
comment on column request_item.bundle_id is 'The bundle that it was requested with; null for what was named itself.';
comment on column request_item.bundle_name is 'What the bundle was called then.';
call carry_organization();
