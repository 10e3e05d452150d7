-- +goose Up

-- A match ends when the flow is not for the person any more, and begins again when it is.
alter table flow_match add column match_count integer not null default 1, add column end_time timestamptz;
comment on column flow_match.match_count is 'How often the flow has matched the person in this join_count, from 1.';
comment on column flow_match.end_time is 'When the flow was not for the person any more; null while it is, or while the flow is switched off.';
comment on table flow_match is 'Whom a join-flow has matched, from and until: once at a time.';
-- What flows have given before they took anything away stays.
alter table flow_match add column kept boolean not null default false;
comment on column flow_match.kept is 'Whether what the flow gave stays when the match ends, whatever the flow says: it was given before flows took anything away.';
update flow_match set kept = true;
alter table flow_match drop constraint flow_match_pkey, add primary key (flow_id, user_id, join_count, match_count);
create unique index flow_match_open on flow_match (flow_id, user_id, join_count) where end_time is null;

-- Everybody is looked at page by page when a flow changes.
create index user_copy_in_order on user_copy (organization_id, id) where not removed;
