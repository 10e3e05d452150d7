-- +goose Up

-- Lists of accounts are in the order in which the rows came, account_by_organization, or
-- sorted by when the accounts themselves did: with this a page is read in that order. Only
-- an account that is or was there is listed. Its create_time is written once, so an
-- account costs one entry here, and its other changes none. Grants, work items and
-- requests have no such index: their ids grow as they are made, and their lists by
-- createTime go by id.
create index account_by_create_time on account (organization_id, create_time, id) where create_time is not null;
