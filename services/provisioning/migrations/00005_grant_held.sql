-- +goose Up

-- A grant of somebody suspended waits for them.
alter domain grant_state drop constraint grant_state;
alter domain grant_state add constraint grant_state check (value in ('pending', 'active', 'failed', 'held', 'revoking', 'revoked'));
