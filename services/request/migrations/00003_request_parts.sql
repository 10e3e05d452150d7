-- +goose Up

-- Who decides about an app, or runs it, sees what of a request is about that app,
-- and not the rest.

-- The owner sees every row while this is done.
alter table reviewer no force row level security;
alter table request_item no force row level security;

alter table reviewer drop constraint reviewer_pkey;
alter table reviewer add column app_id uuid;
insert into reviewer (organization_id, request_id, user_id, app_id)
select distinct v.organization_id, v.request_id, v.user_id, i.app_id from reviewer v join request_item i on i.request_id = v.request_id;
delete from reviewer where app_id is null;
alter table reviewer add primary key (request_id, user_id, app_id);
comment on table reviewer is 'Who was ever asked to decide about an app in a request, and may therefore see that part of it.';

alter table reviewer force row level security;
alter table request_item force row level security;

alter table timeline_entry add column app_id uuid not null default '00000000-0000-0000-0000-000000000000';
comment on column timeline_entry.app_id is 'The app that the entry is about; the nil uuid if it is about all of the request.';
