-- +goose Up

alter table environment
    add column quota_integrations integer not null default 0;
comment on column environment.quota_integrations is 'How many integrations it may have; 0: any number.';
