-- +goose Up

alter table app add column only_by_flow boolean not null default false;
comment on column app.only_by_flow is 'It is closed to requests for access that no flow covers.';
