-- +goose Up

-- What a match is refused because other flows give it to others only is requested again
-- once the person may have it: identity providers say who somebody is, and then in which
-- groups they are.
alter table flow_match add column refused jsonb, add column first_count integer;
comment on column flow_match.refused is 'Items that the match was refused because other flows give them to others only, and that may be requested again; null for none.';
comment on column flow_match.first_count is 'The first of the matches of which this one goes on, and which end with it; null: it is one by itself.';
