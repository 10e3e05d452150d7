-- +goose Up

alter table source add column delete_time timestamptz,
    add column users_leave boolean not null default false,
    alter column token_hash drop not null,
    drop constraint source_name_unique,
    add constraint source_token check ((token_hash is null) = (delete_time is not null));
create unique index source_name_unique on source (organization_id, environment_id, name) where delete_time is null;
comment on column source.delete_time is 'When it was deleted. It stays for those who have left; whoever comes by it locks the row against that, and looks, before they do.';
comment on column source.users_leave is 'Of a deleted one: whether its people leave, or stay without a source.';
