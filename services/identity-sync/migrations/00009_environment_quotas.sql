-- +goose Up

alter table environment
    add column quota_users         integer not null default 0,
    add column quota_sources       integer not null default 0,
    add column quota_apps          integer not null default 0,
    add column quota_flows         integer not null default 0,
    add column quota_open_requests integer not null default 0,
    add constraint environment_quotas check (least(quota_users, quota_sources, quota_apps, quota_flows, quota_open_requests) >= 0);
comment on column environment.quota_users is 'How many users it may have; 0: any number. So are the other quotas.';
