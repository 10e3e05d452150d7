-- +goose Up

-- A client that has no picture of the name shows the first letter of the app's name.
create domain app_icon as text constraint app_icon check (value ~ '^[a-z0-9-]{0,40}$');
alter table app add column icon app_icon not null default '';
comment on column app.icon is 'Name of the picture that is shown with it; empty for none.';
