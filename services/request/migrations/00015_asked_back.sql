-- +goose Up

-- What a join-flow asks about is not asked where there is nothing to take away.
alter table request_item add column not_in_place boolean not null default false;
comment on column request_item.not_in_place is 'Of what a join-flow takes away: it was not in place when the flow let the person go, and nobody is asked about it.';
alter table request_item add column pointless boolean not null default false;
comment on column request_item.pointless is 'It was asked to be cancelled because there is nothing left to be decided: what it would take away has ended, or the join-flow matches the person again.';
comment on column request_item.apart_request_id is 'If the item may be open beside others for the same, because a join-flow made it or it was reopened: its request, or the item itself; else the nil id.';
create index request_item_takes_away on request_item (grant_item_id) where grant_item_id is not null and open;
