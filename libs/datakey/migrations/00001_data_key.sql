-- +goose Up

create table data_key (
    organization_id uuid primary key,
    wrapped         bytea not null,
    create_time     timestamptz not null default now()
);
comment on table data_key is 'The key that the secrets of an organization are sealed with, wrapped by the key of the installation. The nil uuid: of the installation itself.';
call protect('data_key', 'organization');
