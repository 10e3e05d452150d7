-- +goose Up

-- What somebody has decided, and who has the same manager: those who decide after see both.
create domain decision_outcome as text constraint decision_outcome check (value in ('approved', 'denied'));
alter table action add column outcome decision_outcome;
comment on column action.outcome is 'What was decided, of a decision that is done; null where nobody has said.';

create index user_copy_by_manager on user_copy (manager_id) where not removed;
