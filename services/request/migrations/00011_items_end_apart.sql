-- +goose Up

-- Each item is decided for itself, and a request may end with some of them done.
alter domain item_state drop constraint item_state;
alter domain item_state add constraint item_state check (value in ('pending', 'approved', 'fulfilled', 'failed', 'cancelled', 'given_up', 'denied'));
alter domain request_state drop constraint request_state;
alter domain request_state add constraint request_state
	check (value in ('submitted', 'pending', 'approved', 'fulfilled', 'denied', 'cancelling', 'cancelled', 'partly_fulfilled'));
alter table request_item drop constraint request_item_open;
alter table request_item add column closing_reason text not null default '',
	add constraint request_item_open check (open = (state <> 'fulfilled' and state <> 'cancelled' and state <> 'given_up' and state <> 'denied'));
comment on column request_item.closing_reason is 'Why it was denied or cancelled; else empty.';
alter table access_request drop constraint access_request_closed;
alter table access_request add constraint access_request_closed
	check ((close_time is not null) = (state = 'fulfilled' or state = 'denied' or state = 'cancelled' or state = 'partly_fulfilled'));
