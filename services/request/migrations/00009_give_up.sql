-- +goose Up

-- What is approved and cannot be put in place can be given up.
alter domain item_state drop constraint item_state;
alter domain item_state add constraint item_state check (value in ('pending', 'approved', 'fulfilled', 'failed', 'cancelled', 'given_up'));
alter table request_item drop constraint request_item_open;
alter table request_item add column give_up bytea,
	add constraint request_item_open check (open = (state <> 'fulfilled' and state <> 'cancelled' and state <> 'given_up'));
comment on column request_item.give_up is 'The gatehouse.request.v1.GiveUp of an item that is to be given up, or was; null while nobody has asked for that.';
