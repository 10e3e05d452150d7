-- +goose Up

alter table app_copy add column only_by_flow boolean not null default false;
comment on column app_copy.only_by_flow is 'It is closed to requests for access that no flow covers.';
