-- +goose Up

create table audit_entry (
	position bigint generated always as identity primary key,
	event_id uuid not null constraint audit_entry_once unique,
	organization_id uuid not null,
	environment_id uuid not null,
	type text collate "C" not null,
	aggregate text collate "C" not null,
	name text collate "C" not null,
	event_time timestamptz not null,
	record_time timestamptz not null,
	actor_id text collate "C" not null,
	user_id uuid,
	app_id uuid,
	request_ids uuid[] not null,
	data bytea not null
);
comment on table audit_entry is 'What happened: one row for each event, only ever added.';
comment on column audit_entry.environment_id is 'Whose it is, as the event says; the nil uuid is the organization itself.';
comment on column audit_entry.position is 'Place in the log. Grows in the order of writing, with gaps.';
comment on column audit_entry.event_time is 'When it happened, as its owner says. Lists and trails are in this order.';
comment on column audit_entry.type is 'Full name of the event''s protobuf message, which says how to read data.';
comment on column audit_entry.data is 'The whole event, byte for byte as its owner emitted it, but for secrets.';

-- Lists are newest first and may be bounded in time: each filter has its index
-- in that order. Users and apps belong to one organization, so their ids will do.
create index audit_entry_time on audit_entry (organization_id, event_time, position);
create index audit_entry_event on audit_entry (organization_id, aggregate, event_time, position);
create index audit_entry_actor on audit_entry (organization_id, actor_id, event_time, position);
create index audit_entry_user on audit_entry (user_id, event_time, position) where user_id is not null;
create index audit_entry_app on audit_entry (app_id, event_time, position) where app_id is not null;

create table audit_entry_request (
	request_id uuid not null,
	position bigint not null,
	organization_id uuid not null,
	primary key (request_id, position)
);
comment on table audit_entry_request is 'Which entries are the trail of which request. Written by the statement that writes the entry.';

create table request_party (
	request_id uuid not null,
	user_id uuid not null,
	organization_id uuid not null,
	primary key (request_id, user_id)
);
comment on table request_party is 'Requesters and beneficiaries, who may read the trail of their request.';

create table user_version (
	id uuid primary key,
	organization_id uuid not null,
	version bigint not null
);
comment on table user_version is 'The highest version of each user that an event has told of: older signed tokens are not accepted.';
call protect('user_version', 'organization');

-- The log is append-only, whatever the program says.
-- +goose StatementBegin
create function refuse_change() returns trigger language plpgsql as $$
begin
	raise exception 'table % is append-only: % refused', tg_table_name, lower(tg_op) using errcode = 'restrict_violation';
end $$;
-- +goose StatementEnd

-- +goose StatementBegin
do $$
declare t text;
begin
	foreach t in array array['audit_entry', 'audit_entry_request', 'request_party'] loop
		execute format('create trigger append_only before update or delete or truncate on %I for each statement execute function refuse_change()', t);
		-- Also where a session says that it only replicates.
		execute format('alter table %I enable always trigger append_only', t);
		call protect(t::regclass, case t when 'audit_entry' then 'environment' else 'organization' end);
	end loop;
end $$;
-- +goose StatementEnd
