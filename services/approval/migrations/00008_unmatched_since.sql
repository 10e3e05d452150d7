-- +goose Up

-- A flow may wait before it lets go whom it is not for any more.
alter table flow_match add column unmatched_since timestamptz;
comment on column flow_match.unmatched_since is 'When the flow was found not to be for the person any more, while it waits; null while it is for them.';
