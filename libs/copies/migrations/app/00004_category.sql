-- +goose Up

alter table app_copy add column category text not null default '';
comment on column app_copy.category is 'What kind of app it is; empty for none.';
