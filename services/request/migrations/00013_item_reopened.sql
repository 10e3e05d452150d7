-- +goose Up

-- What was said to be done by mistake is taken back: an item may go back.
alter table request_item add column state_version bigint not null default 0;
comment on column request_item.state_version is 'The version of the grant or the revocation that the state follows: an older one changes nothing.';
