-- +goose Up

-- Checklists that were opened before there were dates get one, by the settings of their
-- organization, from when they are looked at.
insert into due (kind, key, organization_id, due_time, try_time, attempts, error)
select 'checklist_undated', c.id, c.organization_id, now(), now(), 0, ''
from checklist c where c.close_time is null and c.due_time is null
order by c.id
on conflict (kind, key) do nothing;
comment on column checklist.due_time is 'Until when it should be done, set each time it opens; null if it was closed before there were such dates.';
