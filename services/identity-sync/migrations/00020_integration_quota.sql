-- +goose Up

alter table environment
    add column quota_integrations integer not null default 0,
    add constraint environment_quota_integrations check (quota_integrations >= 0);
comment on column environment.quota_integrations is 'How many integrations it may have; 0: any number.';
