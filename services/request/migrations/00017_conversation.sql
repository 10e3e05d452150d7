-- +goose Up

-- What people ask those who run an app, and what was said since.
create domain conversation_state as text constraint conversation_state check (value in ('waiting', 'answered', 'closed'));
create table conversation (
	id uuid primary key,
	organization_id uuid not null,
	environment_id uuid not null,
	app_id uuid not null references app (id),
	asker_id uuid not null,
	asker_name text not null,
	asker_email text not null,
	state conversation_state not null,
	opening text not null,
	message_count int not null,
	create_time timestamptz not null,
	update_time timestamptz not null,
	version bigint not null,
	closing_reason text not null default ''
);
create index conversation_asker on conversation (asker_id, id);
create index conversation_app on conversation (app_id, id);
create index conversation_not_closed on conversation (organization_id, id) where state <> 'closed';
comment on table conversation is 'Questions to those who run an app. The first message is its opening, as far as a list shows it.';
comment on column conversation.environment_id is 'That of who asked, or else that of the app; the nil uuid if it is the organization''s own.';
call protect('conversation', 'environment');

create table conversation_message (
	id uuid primary key,
	organization_id uuid not null,
	conversation_id uuid not null references conversation (id),
	author_id uuid not null,
	author_name text not null,
	author_email text not null,
	body text not null,
	create_time timestamptz not null
);
create index conversation_message_conversation on conversation_message (conversation_id, id);
comment on table conversation_message is 'What was said in a conversation.';
call protect('conversation_message', 'organization');
call carry_organization();
