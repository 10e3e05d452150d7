-- +goose Up

-- Who runs an app, or has decided much, finds what is open among all that they have seen.
alter table request_item add column closed boolean not null default false;
alter table reviewer add column closed boolean not null default false;
comment on column request_item.closed is 'Whether the request is closed. It changes once, with the request.';
comment on column reviewer.closed is 'Whether the request is closed. It changes once, with the request.';

-- The owner sees every row while this is done.
alter table access_request no force row level security;
alter table request_item no force row level security;
alter table reviewer no force row level security;
update request_item i set closed = true from access_request r where r.id = i.request_id and r.close_time is not null;
update reviewer v set closed = true from access_request r where r.id = v.request_id and r.close_time is not null;
alter table access_request force row level security;
alter table request_item force row level security;
alter table reviewer force row level security;

create index request_item_app_open on request_item (app_id, request_id desc) where not closed;
create index request_item_entitlement on request_item (entitlement_id, request_id desc);
create index reviewer_open on reviewer (user_id, request_id desc) where not closed;
create index reviewer_user_app on reviewer (user_id, app_id, request_id desc);
create index access_request_requester_open on access_request (requester_id, id desc) where close_time is null;
