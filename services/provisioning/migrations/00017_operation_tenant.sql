-- +goose Up

alter table operation add column tenant_id uuid;
comment on column operation.tenant_id is 'Where its integration led when it was claimed: what a replica that died had called is there.';
