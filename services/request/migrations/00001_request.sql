-- +goose Up

-- Enums are domains and not checks of the tables: the server parses a table's
-- checks in every statement, and a domain's once in a session.
--
-- environment_id is who owns a row: an environment, or with the nil uuid the
-- organization itself.
create domain provisioning_support as text constraint provisioning_support check (value in ('unspecified', 'none', 'manual', 'automatic'));
create domain deprovisioning_action as text constraint deprovisioning_action check (value in ('unspecified', 'remove', 'disable'));
create domain entitlement_kind as text constraint entitlement_kind check (value in ('account', 'role', 'group', 'license'));
create domain request_kind as text constraint request_kind check (value in ('grant', 'revoke'));
create domain request_origin as text constraint request_origin check (value in ('user', 'join'));
create domain request_state as text constraint request_state check (value in ('submitted', 'pending', 'approved', 'fulfilled', 'denied', 'cancelling', 'cancelled'));
create domain item_state as text constraint item_state check (value in ('pending', 'approved', 'fulfilled', 'failed', 'cancelled'));

create table app (
	id uuid primary key,
	organization_id uuid not null,
	environment_id uuid not null,
	name text not null,
	description text not null,
	owner_id uuid,
	admin_ids uuid[] not null,
	approver_ids uuid[] not null,
	provisioning provisioning_support not null,
	integration_id uuid,
	deprovisioning_action deprovisioning_action not null,
	offered_to_all_environments boolean not null,
	offered_environment_ids uuid[] not null,
	create_time timestamptz not null,
	update_time timestamptz not null,
	version bigint not null,
	constraint app_automatic_has_integration check (provisioning <> 'automatic' or integration_id is not null),
	constraint app_offered_by_organization check (environment_id = '00000000-0000-0000-0000-000000000000'
		or not offered_to_all_environments and offered_environment_ids = '{}')
);
create unique index app_name on app (organization_id, environment_id, lower(name));
comment on table app is 'The catalog of apps.';

create table entitlement (
	id uuid primary key,
	organization_id uuid not null,
	environment_id uuid not null,
	app_id uuid not null references app (id),
	name text not null,
	description text not null,
	kind entitlement_kind not null,
	ref text not null,
	create_time timestamptz not null,
	version bigint not null
);
create unique index entitlement_name on entitlement (app_id, lower(name));
create unique index entitlement_one_account on entitlement (app_id) where kind = 'account';
comment on table entitlement is 'What can be held in an app.';

create table access_request (
	id uuid primary key,
	organization_id uuid not null,
	environment_id uuid not null,
	kind request_kind not null,
	origin request_origin not null,
	requester_id uuid,
	requester_name text not null,
	requester_email text not null,
	beneficiary_id uuid not null,
	beneficiary_name text not null,
	beneficiary_email text not null,
	justification text not null,
	until timestamptz,
	state request_state not null,
	closing_reason text not null default '',
	closed_by_id uuid,
	closed_by_name text not null default '',
	closed_by_email text not null default '',
	flow_id uuid,
	flow_version int not null default 0,
	client_request_id uuid,
	fingerprint bytea,
	join_flow_id uuid,
	join_count int not null,
	create_time timestamptz not null,
	update_time timestamptz not null,
	close_time timestamptz,
	version bigint not null,
	constraint access_request_origin_user check ((origin = 'user') = (requester_id is not null)),
	constraint access_request_origin_join check ((origin = 'join') = (join_flow_id is not null)),
	constraint access_request_closed check ((close_time is not null) = (state = 'fulfilled' or state = 'denied' or state = 'cancelled')),
	constraint access_request_revoke_is_permanent check (kind = 'grant' or until is null)
) with (fillfactor = 80);
create unique index access_request_once on access_request (organization_id, requester_id, client_request_id) where client_request_id is not null;
create unique index access_request_join_once on access_request (join_flow_id, beneficiary_id, join_count) where join_flow_id is not null;
create index access_request_list on access_request (organization_id, id desc);
create index access_request_open on access_request (organization_id, id desc) where close_time is null;
create index access_request_requester on access_request (requester_id, id desc);
create index access_request_beneficiary on access_request (beneficiary_id, id desc);
comment on table access_request is 'Requests for access to be granted or revoked.';
comment on column access_request.join_count is 'How often the beneficiary had joined: requests of an earlier time end when they have left, however late that is known.';
comment on column access_request.join_flow_id is 'The join-flow that opened the request. Not flow_id, which is set later for other requests: a row whose indexed columns do not change is updated without writing to the indexes.';

create table request_item (
	id uuid primary key,
	organization_id uuid not null,
	environment_id uuid not null,
	request_id uuid not null references access_request (id),
	position int not null,
	kind request_kind not null,
	beneficiary_id uuid not null,
	entitlement_id uuid not null references entitlement (id),
	entitlement_name text not null,
	app_id uuid not null,
	app_name text not null,
	provisioning provisioning_support not null,
	state item_state not null,
	open boolean not null,
	constraint request_item_open check (open = (state <> 'fulfilled' and state <> 'cancelled'))
) with (fillfactor = 80);
create index request_item_request on request_item (request_id, position);
create index request_item_app on request_item (app_id, request_id);
create unique index request_item_asked_once on request_item (beneficiary_id, entitlement_id, kind) where open;
comment on table request_item is 'One entitlement of a request. At most one open item is for the same entitlement, kind and beneficiary.';
comment on column request_item.open is 'Whether something is still to be done for it. It changes once, so that the index on it is not written to with every state.';

create table comment (
	id uuid primary key,
	organization_id uuid not null,
	request_id uuid not null references access_request (id),
	author_id uuid not null,
	author_name text not null,
	author_email text not null,
	body text not null,
	create_time timestamptz not null
);
create index comment_request on comment (request_id, id);
comment on table comment is 'Comments of people on a request.';

create table timeline_entry (
	request_id uuid not null,
	event_id uuid not null,
	organization_id uuid not null,
	event_time timestamptz not null,
	event text not null,
	actor_id text not null,
	actor_name text not null,
	body text not null,
	primary key (request_id, event_time, event_id)
);
comment on table timeline_entry is 'What happened to a request, one row for each event.';

create table reviewer (
	request_id uuid not null,
	user_id uuid not null,
	organization_id uuid not null,
	primary key (request_id, user_id)
);
create index reviewer_user on reviewer (user_id, request_id);
comment on table reviewer is 'Who was ever asked to decide a request, and may therefore see it.';

call protect('app', 'shared');
call protect('entitlement', 'shared');
call protect('access_request', 'environment');
call protect('request_item', 'environment');
call protect('comment', 'organization');
call protect('timeline_entry', 'organization');
call protect('reviewer', 'organization');
