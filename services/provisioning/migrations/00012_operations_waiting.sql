-- +goose Up

-- What waits of one integration, to count it and to claim no more than the app takes.
create index operation_waiting on operation (integration_id, bulk, not_before) include (state, create_time) where state in ('queued', 'stuck');
