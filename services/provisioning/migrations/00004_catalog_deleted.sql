-- +goose Up

-- A grant ends with its app and its entitlement.
alter domain grant_end drop constraint grant_end;
alter domain grant_end add constraint grant_end check (value in ('requested', 'expired', 'user_removed', 'app_deleted', 'entitlement_deleted'));
