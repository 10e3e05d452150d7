-- +goose Up

-- What waits because nobody can decide it says so, and what would help.
alter table request_item add column vacancy bytea, add column vacancy_version bigint not null default 0;
comment on column request_item.vacancy is 'The gatehouse.request.v1.Vacancy of a pending item that nobody can decide; null while somebody can.';
comment on column request_item.vacancy_version is 'The version of the approval that says so: an older one changes nothing.';
create index request_item_vacant on request_item (request_id) where vacancy is not null;

create index user_copy_admin on user_copy (organization_id, role_environment_id, id) where role in ('admin', 'it_admin');
