-- +goose Up

-- The words that a column may have are a domain of its own: a session prepares
-- its check once, that of a table anew for every statement that writes to it.
create domain integration_kind as text constraint integration_kind check (value in ('scim'));
create domain integration_state as text constraint integration_state check (value in ('untested', 'working', 'failing'));
create domain account_state as text constraint account_state check (value in ('absent', 'active', 'disabled'));
create domain grant_state as text constraint grant_state check (value in ('pending', 'active', 'failed', 'revoking', 'revoked'));
create domain grant_end as text constraint grant_end check (value in ('requested', 'expired', 'user_removed'));
create domain operation_state as text constraint operation_state check (value in ('queued', 'running', 'stuck', 'done', 'cancelled'));
create domain checklist_kind as text constraint checklist_kind check (value in ('onboarding', 'offboarding'));
create domain work_item_kind as text
    constraint work_item_kind check (value in ('create_account', 'assign', 'unassign', 'remove_account', 'fix_operation', 'change_secret'));
create domain work_item_state as text constraint work_item_state check (value in ('open', 'resolved', 'cancelled'));

-- Copies of what other services own are libs/copies'. No foreign keys point at
-- them: they come when they come, every use looks whether they are there, and a
-- shared lock on a busy app's row for each grant would be felt.
create index app_copy_by_admin on app_copy using gin (admin_ids);

create table integration (
    id              uuid primary key,
    organization_id uuid not null,
    environment_id  uuid not null,
    name            text not null,
    kind            integration_kind not null,
    base_url        text not null,
    secret          bytea not null,
    state           integration_state not null,
    state_detail    text not null,
    test_time       timestamptz,
    paused_until    timestamptz,
    create_time     timestamptz not null,
    version         bigint not null,
    constraint integration_name unique (organization_id, environment_id, name)
);
comment on table integration is 'Configured connectors. secret is sealed with the installation''s key and bound to the id.';
comment on column integration.paused_until is 'Until when the app has asked for no more calls (Retry-After).';

-- With fillfactor: rows that change several times in their short lives. Room on
-- the page lets an update stay there, without touching the indexes.

create table account (
    id              uuid primary key,
    organization_id uuid not null,
    environment_id  uuid not null,
    user_id         uuid not null,
    app_id          uuid not null,
    state           account_state not null,
    account_in_doubt          boolean not null,
    held            uuid[] not null,
    in_doubt           uuid[] not null,
    external_id     text not null,
    user_name       text not null,
    app_version     bigint not null,
    insert_time       timestamptz not null,
    create_time     timestamptz,
    update_time     timestamptz not null,
    version         bigint not null,
    constraint account_one_per_person unique (user_id, app_id),
    constraint account_held check (held = '{}' or (state = 'active' and not account_in_doubt)),
    constraint account_in_doubt_entitlements check (in_doubt = '{}' or state <> 'absent' or account_in_doubt)
) with (fillfactor = 80);
comment on table account is 'The assignment of one user in one app: what the grants say and what is known to be in the app. Everything about it (grants, work items, operation) is changed under the lock of this row. id is made of user and app, so that all of it can be asked for at once by one key.';
comment on column account.account_in_doubt is 'The account was worked on, and what came of it is not known.';
comment on column account.held is 'Entitlements besides the account that are surely there.';
comment on column account.in_doubt is 'Entitlements that may be there or not; of a disabled account those that come back with it.';
comment on column account.app_version is 'The version of the app that the assignment was last reconciled under.';
comment on column account.insert_time is 'When the row came. create_time is when the account did.';
create index account_by_organization on account (organization_id, insert_time, id);
create index account_by_app_version on account (app_id, app_version);

create table access_grant (
    id                uuid primary key,
    organization_id   uuid not null,
    environment_id    uuid not null,
    account_id        uuid not null,
    user_id           uuid not null,
    app_id            uuid not null,
    entitlement_id    uuid not null,
    request_id        uuid not null,
    item_id           uuid not null,
    origin_join       boolean not null,
    join_count      integer not null,
    state             grant_state not null,
    until             timestamptz,
    create_time       timestamptz not null,
    activate_time     timestamptz,
    end_time          timestamptz,
    revoke_time       timestamptz,
    end_reason        grant_end,
    revoke_request_id uuid,
    error             text not null,
    version           bigint not null,
    constraint access_grant_once unique (item_id),
    constraint access_grant_account foreign key (account_id) references account (id),
    constraint access_grant_gone check ((state = 'revoked') = (revoke_time is not null)),
    constraint access_grant_ended check ((state in ('revoking', 'revoked')) = (end_reason is not null)),
    constraint access_grant_end_time check ((end_reason is null) = (end_time is null))
) with (fillfactor = 80);
comment on table access_grant is 'Who holds what, from and until. One for each item of an approved request, for ever.';
-- Not by state, so that a change of state leaves the indexes alone.
create index access_grant_of_account on access_grant (account_id) where revoke_time is null;
-- What should be gone and is not.
create index access_grant_debt on access_grant (end_time) where end_time is not null and revoke_time is null;
create index access_grant_by_organization on access_grant (organization_id, id desc);
create index access_grant_by_user on access_grant (user_id, id desc);
create index access_grant_by_app on access_grant (app_id, id desc);
create index access_grant_by_request on access_grant (request_id);

create table revocation (
    item_id         uuid primary key,
    organization_id uuid not null,
    environment_id  uuid not null,
    request_id      uuid not null,
    account_id      uuid not null,
    user_id         uuid not null,
    app_id          uuid not null,
    entitlement_id  uuid not null,
    grant_ids       uuid[] not null,
    done            boolean not null
);
comment on table revocation is 'What each item of an approved revoke request ended.';
create index revocation_of_account on revocation (account_id) where not done;

create table operation (
    id              uuid primary key,
    organization_id uuid not null,
    environment_id  uuid not null,
    account_id      uuid not null,
    user_id         uuid not null,
    app_id          uuid not null,
    integration_id  uuid not null,
    state           operation_state not null,
    bulk            boolean not null,
    plan            jsonb not null,
    tries           integer not null,
    not_before      timestamptz,
    claim           uuid,
    lease_until     timestamptz,
    error           text not null,
    traceparent     text not null,
    create_time     timestamptz not null,
    end_time        timestamptz,
    constraint operation_lease check ((state = 'running') = (lease_until is not null)),
    constraint operation_end check ((state in ('done', 'cancelled')) = (end_time is not null))
) with (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02);
comment on table operation is 'Changes in apps, made by integrations. An assignment has at most one that is not over, so calls for one person in one app never meet.';
comment on column operation.not_before is 'When to try; null waits for a person.';
comment on column operation.bulk is 'It is one of many that may come at once and that nobody waits for: others go first.';
comment on column operation.traceparent is 'The trace of what gave it its plan, in W3C form: that of its calls and of the events about them.';
comment on column operation.claim is 'The try that runs. What another one reports is ignored.';
create unique index operation_one_per_account on operation (account_id) where state in ('queued', 'running', 'stuck');
create index operation_to_try on operation (bulk, not_before) where state in ('queued', 'stuck');
create index operation_running on operation (id) where state = 'running';

create table checklist (
    id              uuid primary key,
    organization_id uuid not null,
    environment_id  uuid not null,
    user_id         uuid not null,
    kind            checklist_kind not null,
    join_count      integer not null,
    open_count      integer not null constraint checklist_open_count check (open_count >= 0),
    item_count      integer not null,
    create_time     timestamptz not null,
    close_time      timestamptz,
    version         bigint not null,
    constraint checklist_once unique (user_id, environment_id, kind, join_count),
    constraint checklist_closed check ((open_count = 0) = (close_time is not null))
);
comment on table checklist is 'The work items of one person who joined or left. id is made of user, kind and join_count, so that whoever opens the first item makes the same checklist.';
create index checklist_open on checklist (organization_id, create_time, id) where close_time is null;
create index checklist_by_organization on checklist (organization_id, create_time, id);

create table work_item (
    id              uuid primary key,
    organization_id uuid not null,
    environment_id  uuid not null,
    account_id      uuid not null,
    user_id         uuid not null,
    app_id          uuid not null,
    kind            work_item_kind not null,
    state           work_item_state not null,
    entitlement_ids uuid[] not null,
    request_ids     uuid[] not null,
    checklist_id    uuid constraint work_item_checklist references checklist (id),
    error           text not null,
    resolver_id     uuid,
    resolver_name   text not null,
    resolver_email  text not null,
    note            text not null,
    create_time     timestamptz not null,
    resolve_time    timestamptz,
    version         bigint not null,
    constraint work_item_resolved check ((state = 'open') = (resolve_time is null))
);
comment on table work_item is 'What a person must do.';
create index work_item_of_account on work_item (account_id) where state = 'open';
create unique index work_item_one_of_a_kind on work_item (account_id, kind) where state = 'open' and kind not in ('assign', 'unassign');
create unique index work_item_one_assignment on work_item (account_id, kind, (entitlement_ids[1])) where state = 'open' and kind in ('assign', 'unassign');
create index work_item_open on work_item (organization_id, id) where state = 'open';
create index work_item_by_organization on work_item (organization_id, id);
create index work_item_by_user on work_item (user_id, id);
create index work_item_by_checklist on work_item (checklist_id, id);

call protect('integration', 'environment');
call protect('account', 'environment');
call protect('access_grant', 'environment');
call protect('revocation', 'environment');
call protect('operation', 'environment');
call protect('checklist', 'environment');
call protect('work_item', 'environment');
