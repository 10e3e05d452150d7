-- +goose Up

alter table app_copy add column account_adoption text not null default 'unspecified';
comment on column app_copy.account_adoption is 'ask, adopt or refuse; unspecified counts as ask.';
