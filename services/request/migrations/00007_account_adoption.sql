-- +goose Up

-- What is done about an account that is there already when one is to be made.
create domain account_adoption as text constraint account_adoption check (value in ('unspecified', 'ask', 'adopt', 'refuse'));
alter table app add column account_adoption account_adoption not null default 'unspecified';
