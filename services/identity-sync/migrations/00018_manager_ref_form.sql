-- +goose Up

-- A manager may be named by user name before they come: by its normal form, as user
-- names are compared. What a source names a manager by may be any text, and its form
-- much longer than an index can hold.
alter table users
    add column manager_ref_form text generated always as (left(lower(normalize(manager_ref, NFKC)), 512)) stored;
comment on column users.manager_ref_form is 'The beginning of the manager as the source names them, in the form in which user names are compared.';

create index users_waiting_for_manager_form on users (source_id, manager_ref_form) where manager_id is null and manager_ref <> '';
drop index users_waiting_for_manager;
