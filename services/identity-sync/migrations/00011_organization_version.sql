-- +goose Up

alter table organization add column version bigint not null default 1,
    add constraint organization_version check (version >= 1);
comment on column organization.version is 'Counts up with every change.';
