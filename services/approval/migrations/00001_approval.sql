-- +goose Up

-- Copies of other services' facts, built from events.

create table user_copy (
    id              uuid primary key,
    organization_id uuid not null,
    display_name    text not null,
    email           text not null,
    manager_id      uuid,
    state           text not null constraint user_copy_state check (state in ('invited', 'active', 'suspended', 'removed')),
    role            text not null constraint user_copy_role check (role in ('admin', 'it_admin', 'risk_manager', 'member', 'external')),
    join_count          integer not null,
    version         bigint not null,
    -- Risk managers see all and change nothing.
    can_decide      boolean not null generated always as (state = 'active' and role <> 'risk_manager') stored
);
comment on table user_copy is 'People as identity-sync says they are. The row with the highest version stands.';
create index user_copy_active on user_copy (organization_id, id) where state = 'active';
create index user_copy_admin on user_copy (organization_id) where can_decide and role in ('admin', 'it_admin');

create table group_copy (
    id              uuid primary key,
    organization_id uuid not null,
    display_name    text not null,
    version         bigint not null,
    removed_version bigint
);
comment on table group_copy is 'Groups as identity-sync says they are. A membership of a version before removed_version is over.';

create table group_member_copy (
    group_id        uuid not null,
    user_id         uuid not null,
    organization_id uuid not null,
    present         boolean not null,
    version         bigint not null,
    primary key (group_id, user_id)
);
comment on table group_member_copy is 'Who is in which group. Someone who went out keeps a row, so that an older event cannot put them back in.';
create index group_member_copy_user on group_member_copy (user_id) where present;

create table app_copy (
    id              uuid primary key,
    organization_id uuid not null,
    name            text not null,
    owner_id        uuid,
    admin_ids       uuid[] not null,
    approver_ids    uuid[] not null,
    version         bigint not null
);
comment on table app_copy is 'Apps and who owns, runs and approves them, as request says. The row with the highest version stands.';

create table entitlement_copy (
    id              uuid primary key,
    organization_id uuid not null,
    app_id          uuid not null,
    name            text not null,
    version         bigint not null
);
comment on table entitlement_copy is 'What can be held in apps, as request says.';

-- Flows.

create table flow (
    id              uuid primary key,
    organization_id uuid not null,
    name            text not null,
    trigger         text not null constraint flow_trigger check (trigger in ('request', 'join')),
    enabled         boolean not null,
    priority        integer not null,
    version         integer not null constraint flow_version_positive check (version > 0),
    matched_version integer not null,
    create_time     timestamptz not null,
    constraint flow_name_unique unique (organization_id, name)
);
comment on table flow is 'Flows: the current version of each and what is needed to find it. The content is in flow_version.';
comment on column flow.matched_version is 'Version of a join-flow that everybody was looked at for, or of any other flow: the current.';
create index flow_enabled on flow (organization_id, trigger) where enabled;
create index flow_unmatched on flow (id) where matched_version < version;

create table flow_version (
    flow_id         uuid not null constraint flow_version_flow references flow (id),
    version         integer not null,
    organization_id uuid not null,
    spec            jsonb not null,
    primary key (flow_id, version)
);
comment on table flow_version is 'Every version of every flow, as JSON of gatehouse.approval.v1.Flow. Never changed: running requests finish on theirs.';

create table flow_match (
    flow_id         uuid not null constraint flow_match_flow references flow (id),
    user_id         uuid not null,
    join_count          integer not null,
    organization_id uuid not null,
    flow_version    integer not null,
    create_time     timestamptz not null,
    primary key (flow_id, user_id, join_count)
);
comment on table flow_match is 'Whom a join-flow has matched: once in each join_count.';

-- Approvals.

-- Words are domains and not checks of the tables: the server reads a table's
-- checks anew in every statement, and a domain's once in a session.
create domain approval_state as text constraint approval_state check (value in ('open', 'granted', 'denied', 'cancelled'));
create domain step_reviewers as text constraint step_reviewers check (value in ('manager', 'app_owner', 'app_approvers', 'app_admins', 'users', 'groups'));
create domain step_need as text constraint step_need check (value in ('any', 'all', 'count'));
create domain step_state as text constraint step_state check (value in ('waiting', 'open', 'approved', 'denied', 'cancelled'));
create domain task_state as text constraint task_state check (value in ('open', 'approved', 'denied', 'cancelled', 'reassigned'));

create table approval (
    request_id      uuid primary key,
    organization_id uuid not null,
    state           approval_state not null,
    request         bytea,
    requester_id    uuid,
    beneficiary_id  uuid,
    flow_id         uuid,
    flow_version    integer not null,
    automatic       boolean not null,
    version         bigint not null,
    create_time     timestamptz not null,
    end_time        timestamptz,
    constraint approval_end check ((state = 'open') = (end_time is null)),
    constraint approval_request check (request is not null or state = 'cancelled'),
    constraint approval_automatic check (not automatic or state = 'granted')
) with (fillfactor = 80);
comment on table approval is 'One for each request: where its approval stands. Whoever changes anything of it locks this row first.';
comment on column approval.request is 'The gatehouse.request.v1.Request as submitted. Null if the request was taken back before it was heard of.';
comment on column approval.version is 'Counts the events that tell of it.';

create table step (
    request_id      uuid not null constraint step_approval references approval (request_id),
    item_id         uuid not null,
    position        integer not null constraint step_position check (position > 0),
    organization_id uuid not null,
    app_id          uuid not null,
    flow_id         uuid,
    flow_version    integer not null,
    name            text not null,
    reviewers       step_reviewers not null,
    user_ids        uuid[] not null,
    group_ids       uuid[] not null,
    need            step_need not null,
    need_count      integer not null,
    state           step_state not null,
    needed          integer not null,
    vacant          boolean not null,
    open_time       timestamptz,
    end_time        timestamptz,
    primary key (request_id, item_id, position),
    constraint step_vacant check (not vacant or state = 'open'),
    constraint step_open check (open_time is not null or state = 'waiting' or state = 'cancelled'),
    constraint step_needed check (open_time is null or needed > 0),
    constraint step_end check ((state = 'waiting' or state = 'open') = (end_time is null))
) with (fillfactor = 80);
comment on table step is 'The steps of each item of a request, copied from the version of the flow that the request started with.';
comment on column step.needed is 'How many must approve, set when the step opens.';
comment on column step.vacant is 'Open, and nobody has a task in it: it waits until somebody can decide.';
create index step_vacant_index on step (request_id) where vacant;

create table task (
    id              uuid primary key,
    organization_id uuid not null,
    request_id      uuid not null,
    item_id         uuid not null,
    position        integer not null,
    reviewer_id     uuid not null,
    reviewer_name   text not null,
    reviewer_email  text not null,
    requester_id    uuid,
    beneficiary_id  uuid not null,
    state           task_state not null,
    substitution    text not null,
    comment         text not null,
    create_time     timestamptz not null,
    end_time        timestamptz,
    ended_by_id     uuid,
    ended_by_name   text not null,
    constraint task_step foreign key (request_id, item_id, position) references step (request_id, item_id, position),
    constraint task_end check ((state = 'open') = (end_time is null)),
    constraint task_decided_by_reviewer check (ended_by_id = reviewer_id or state <> 'approved' and state <> 'denied'),
    constraint task_reviewer_not_concerned check (reviewer_id <> beneficiary_id and (requester_id is null or reviewer_id <> requester_id))
);
comment on table task is 'One reviewer''s decision in one step. Given when the step opens, never before, and never to who asked or whose access it is about.';
comment on column task.ended_by_id is 'Who decided it, or made it needless; null if Gatehouse itself did.';
create unique index task_one_say on task (request_id, item_id, position, reviewer_id) where state in ('open', 'approved', 'denied');
create index task_step_index on task (request_id, item_id, position);
create index task_reviewer on task (reviewer_id, state, create_time, id);

-- Each organization sees its own.

call protect('user_copy', 'organization');

call protect('group_copy', 'organization');

call protect('group_member_copy', 'organization');

call protect('app_copy', 'organization');

call protect('entitlement_copy', 'organization');

call protect('flow', 'organization');

call protect('flow_version', 'organization');

call protect('flow_match', 'organization');

call protect('approval', 'organization');

call protect('step', 'organization');

call protect('task', 'organization');
