-- +goose Up

-- No row refers to one of another organization.
call carry_organization();
