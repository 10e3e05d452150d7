-- +goose Up

alter table flow add column delete_time timestamptz,
    drop constraint flow_name_unique,
    add constraint flow_deleted check (delete_time is null or not enabled and matched_version = version);
create unique index flow_name_unique on flow (organization_id, environment_id, name) where delete_time is null;
comment on column flow.delete_time is 'When it was deleted. It stays for the requests that run on its versions, and is shown to nobody.';
