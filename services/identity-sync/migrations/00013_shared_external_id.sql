-- +goose Up

-- An externalId is the identity provider's (RFC 7643, section 3.1): it may give the
-- same one to several.
create index users_by_external_id on users (source_id, external_id) where external_id <> '';
drop index users_external_id_unique;
drop index users_removed_by_external_id;

create index directory_group_by_external_id on directory_group (source_id, external_id) where external_id <> '';
drop index directory_group_external_id_unique;
