-- +goose Up

-- Lists of users are sorted by name, which has users_by_name, or by when they were made:
-- with this a page is read in that order, up or down, and not all users of an
-- organization are sorted for each. It carries what row-level security and the list's
-- own condition look at. A user's create_time never changes.
create index users_by_create_time on users (organization_id, create_time, id) include (environment_id, state);
