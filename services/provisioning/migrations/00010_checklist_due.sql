-- +goose Up

-- Until when a joiner should have everything, and a leaver nothing.
create table checklist_settings (
    organization_id    uuid primary key,
    onboarding_period  bigint not null constraint checklist_settings_onboarding_period check (onboarding_period between 0 and 31536000),
    offboarding_period bigint not null constraint checklist_settings_offboarding_period check (offboarding_period between 0 and 31536000),
    version            bigint not null
);
comment on table checklist_settings is 'How long people have for checklists, of organizations that have said it. Others have the defaults.';
comment on column checklist_settings.organization_id is 'Whose settings they are.';
comment on column checklist_settings.onboarding_period is 'Seconds from when an onboarding checklist opens until it should be done.';
comment on column checklist_settings.offboarding_period is 'The same of an offboarding checklist.';
comment on column checklist_settings.version is 'Counts up with every change.';
call protect('checklist_settings', 'organization');

alter table checklist
    add column due_time timestamptz,
    add column overdue boolean not null default false;
comment on column checklist.due_time is 'Until when it should be done, set each time it opens; null if it was opened before there were such dates.';
comment on column checklist.overdue is 'It was open when due_time came, that was said, and it is still open.';
create index checklist_open_by_due on checklist (organization_id, due_time, id) where close_time is null;
create index checklist_by_due on checklist (organization_id, due_time, id);
create index checklist_overdue on checklist (organization_id) where overdue;
