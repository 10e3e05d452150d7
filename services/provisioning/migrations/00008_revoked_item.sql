-- +goose Up

-- A revoke request may be about what one item of another request gave alone.
alter table revocation add column grant_item_id uuid;
comment on column revocation.grant_item_id is 'The item by which it was given that is to be taken away, also if it is given only afterwards; null: whatever it was given by.';
create index revocation_of_item on revocation (grant_item_id) where grant_item_id is not null;
