-- +goose Up

alter table access_request add column expired boolean not null default false;
comment on column access_request.expired is 'It was cancelled because its end, until, had passed before it was approved.';

-- What waits for a decision already ends too. The owner sees every row while this is done.
alter table access_request no force row level security;
alter table due no force row level security;
insert into due (kind, key, organization_id, due_time, try_time, attempts, error)
select 'request_end', id, organization_id, until, until, 0, '' from access_request where close_time is null and until is not null;
alter table access_request force row level security;
alter table due force row level security;
