-- +goose Up

-- What is asked of copies of other services' users, besides the indexes that
-- libs/copies has. An environment_id of the nil uuid says that the organization
-- itself is the owner, in every table.

create index user_copy_active on user_copy (organization_id, id) where state = 'active';
create index user_copy_admin on user_copy (organization_id, role_environment_id, id) where role in ('admin', 'it_admin');

-- Flows.

create table flow (
    id              uuid primary key,
    organization_id uuid not null,
    environment_id  uuid not null,
    name            text not null,
    trigger         text not null constraint flow_trigger check (trigger in ('request', 'join')),
    enabled         boolean not null,
    version         integer not null constraint flow_version_positive check (version > 0),
    matched_version integer not null,
    constraint flow_name_unique unique (organization_id, environment_id, name)
);
comment on table flow is 'Flows: the current version of each and what finds it. The content is in flow_version.';
comment on column flow.environment_id is 'The environment that owns the flow and whose people it is for; the nil uuid if the organization owns it, for the people of all environments.';
comment on column flow.matched_version is 'Of a join-flow, the version that was matched with everybody; of any other flow, the current version.';
create index flow_list on flow (organization_id, name, id);
create index flow_enabled on flow (organization_id, trigger) where enabled;
create index flow_unmatched on flow (id) where matched_version < version;
call protect('flow', 'shared');

create table flow_version (
    flow_id         uuid not null constraint flow_version_flow references flow (id),
    version         integer not null,
    organization_id uuid not null,
    spec            jsonb not null,
    primary key (flow_id, version)
);
comment on table flow_version is 'Every version of every flow. Never changed: requests finish on the version they started with.';
call protect('flow_version', 'organization');

create table flow_match (
    flow_id         uuid not null constraint flow_match_flow references flow (id),
    user_id         uuid not null,
    join_count      integer not null,
    organization_id uuid not null,
    flow_version    integer not null,
    create_time     timestamptz not null,
    primary key (flow_id, user_id, join_count)
);
comment on table flow_match is 'Whom a join-flow has matched: a person once in each join_count.';
call protect('flow_match', 'organization');

-- Approvals.

-- Words are domains and not checks of the tables: the server reads the checks of
-- a table anew in every statement, and those of a domain once in a session.
create domain approval_state as text constraint approval_state check (value in ('open', 'granted', 'denied', 'cancelled'));
create domain task_state as text constraint task_state check (value in ('open', 'approved', 'denied', 'cancelled', 'reassigned'));

-- What never changes comes first: an update logs a row from the first byte that
-- differs.
create table approval (
    request_id      uuid primary key,
    organization_id uuid not null,
    environment_id  uuid not null,
    request         bytea,
    state           approval_state not null,
    vacant          boolean not null,
    data            bytea not null,
    constraint approval_request check (request is not null or state = 'cancelled'),
    constraint approval_vacant check (not vacant or state = 'open')
) with (fillfactor = 70);
comment on table approval is 'The approval of each request, whole: with its steps, tasks and decisions. A transaction that changes it locks this row first.';
comment on column approval.request is 'The gatehouse.request.v1.Request as submitted. Null if the request was cancelled before it was submitted here.';
comment on column approval.vacant is 'A step is open and nobody has a task in it: it waits until somebody can decide.';
comment on column approval.data is 'The approval, in the encoding of internal/store/encode.go.';
create index approval_vacant_index on approval (request_id) where vacant;
call protect('approval', 'environment');

create table task (
    id              uuid primary key,
    organization_id uuid not null,
    environment_id  uuid not null,
    request_id      uuid not null,
    item_id         uuid not null,
    position        integer not null,
    reviewer_id     uuid not null,
    requester_id    uuid,
    beneficiary_id  uuid not null,
    create_time     timestamptz not null,
    state           task_state not null,
    constraint task_reviewer_not_party check (reviewer_id <> beneficiary_id and (requester_id is null or reviewer_id <> requester_id))
) with (fillfactor = 80);
comment on table task is 'Finds the approval that a task is in, by the task or by its reviewer. The task itself is in the approval, and both are written together.';
create unique index task_one_decision on task (request_id, item_id, position, reviewer_id) where state in ('open', 'approved', 'denied');
create index task_open on task (reviewer_id, create_time, id) where state = 'open';
create index task_ended on task (reviewer_id, state, create_time, id) where state <> 'open';
call protect('task', 'environment');
