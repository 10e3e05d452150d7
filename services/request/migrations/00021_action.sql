-- +goose Up

-- What a request waits for from whom, and what was done of it.
create domain action_kind as text constraint action_kind check (value in ('decide', 'provision', 'assign'));
create domain action_state as text constraint action_state check (value in ('open', 'done', 'withdrawn'));
create table action (
	request_id uuid not null,
	id uuid not null,
	organization_id uuid not null,
	item_id uuid,
	app_id uuid not null,
	step int not null,
	kind action_kind not null,
	actor_id uuid,
	asked_time timestamptz not null,
	state action_state not null,
	done_time timestamptz,
	done_by_id uuid,
	primary key (request_id, id),
	constraint action_done check ((state = 'done') = (done_time is not null))
) with (fillfactor = 80);
create index action_actor on action (actor_id, request_id desc) where state = 'open' and actor_id is not null;
create index action_app on action (app_id, request_id desc) where state = 'open' and actor_id is null;
create index action_anybody on action (organization_id, request_id desc) where state = 'open' and actor_id is null;
comment on table action is 'What a request waits for from whom: a decision (id is that of the task) or something to be done by hand (that of the work item, once for each request that it serves).';
comment on column action.item_id is 'The item that is decided; null for what is done by hand, which may be for several.';
comment on column action.step is 'The step of the item''s approval, from 1; 0 for what is done by hand.';
comment on column action.actor_id is 'Whose it is; null: it is for whoever runs the app, and for admins and IT admins.';
comment on column action.state is 'From open to done or withdrawn; one that was withdrawn here and done there is done.';
call protect('action', 'organization');
call carry_organization();

alter table request_item add column review jsonb not null default '{}';
comment on column request_item.review is 'How far its approval is: how many approvals each step needs, by which version of the approval; how many steps are completed; which tasks were decided in which step.';
