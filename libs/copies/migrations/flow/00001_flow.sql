-- +goose Up

create table flow_copy (
    id              uuid primary key,
    organization_id uuid not null,
    environment_id  uuid not null,
    trigger         text not null,
    enabled         boolean not null,
    version         bigint not null,
    removed         boolean not null,
    data            bytea not null
);
comment on table flow_copy is 'Flows, as approval says. The row with the highest version stands.';
comment on column flow_copy.environment_id is 'The environment that owns the flow; the nil uuid if the organization does.';
comment on column flow_copy.data is 'The gatehouse.approval.v1.Flow.';
create index flow_copy_enabled on flow_copy (organization_id) where enabled and trigger = 'request' and not removed;
call protect('flow_copy', 'shared');
