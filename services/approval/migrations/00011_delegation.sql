-- +goose Up

-- Who decides for somebody who is absent.
create table delegation (
    id              uuid primary key,
    organization_id uuid not null,
    environment_id  uuid not null,
    delegator_id    uuid not null,
    delegator_name  text not null,
    delegator_email text not null,
    delegate_id     uuid not null,
    delegate_name   text not null,
    delegate_email  text not null,
    from_time       timestamptz not null,
    until_time      timestamptz not null,
    reason          text not null,
    creator_id      uuid not null,
    creator_name    text not null,
    creator_email   text not null,
    create_time     timestamptz not null,
    end_time        timestamptz,
    ended_by_id     uuid,
    ended_by_name   text not null default '',
    ended_by_email  text not null default '',
    constraint delegation_for_another check (delegator_id <> delegate_id),
    constraint delegation_ends check (until_time > from_time)
);
comment on table delegation is 'Who decides for somebody who is absent, and for how long.';
comment on column delegation.environment_id is 'The environment in which the delegator''s role is held; the nil uuid if it is held in the organization.';
comment on column delegation.end_time is 'When it ended; null while it has not.';
comment on column delegation.ended_by_id is 'Who ended it before its time; null if nobody did.';
create index delegation_open on delegation (organization_id, id) where end_time is null;
create index delegation_delegator on delegation (delegator_id, create_time, id);
create index delegation_delegate on delegation (delegate_id, create_time, id);
create index delegation_in_order on delegation (organization_id, create_time, id);
call protect('delegation', 'environment');
call carry_organization();
