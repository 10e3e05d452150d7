-- +goose Up

-- Each time that a join-flow matches somebody is a reason of its own for what it gives,
-- beside other flows' and the person's own request; and its end takes that away alone.
alter table access_request add column match_count integer not null default 1;
comment on column access_request.match_count is 'Of a join-flow: which of the times it is that the flow has matched the beneficiary in this join_count.';
drop index access_request_join_once;
create unique index access_request_join_once on access_request (join_flow_id, beneficiary_id, join_count, match_count, kind) where join_flow_id is not null;

alter table request_item add column apart_request_id uuid not null default '00000000-0000-0000-0000-000000000000', add column grant_item_id uuid;
comment on column request_item.apart_request_id is 'Its request, if it may be open beside others for the same: a join-flow made it, or it was reopened; else the nil id.';
comment on column request_item.grant_item_id is 'Of what is to be taken away: the item of another request by which it was given; null: all by which it was given.';
update request_item i set apart_request_id = r.id from access_request r where r.id = i.request_id and r.origin = 'join';
drop index request_item_asked_once;
create unique index request_item_asked_once on request_item (beneficiary_id, entitlement_id, kind, apart_request_id) where open;
comment on table request_item is 'One entitlement of a request. At most one open item that people ask for is for the same entitlement, kind and beneficiary.';

create table flow_unmatched (
	flow_id uuid not null,
	user_id uuid not null,
	join_count integer not null,
	match_count integer not null,
	organization_id uuid not null,
	create_time timestamptz not null,
	primary key (flow_id, user_id, join_count, match_count)
);
comment on table flow_unmatched is 'That a join-flow is not for somebody any more, for what it may say of them later than that.';
call protect('flow_unmatched', 'organization');
