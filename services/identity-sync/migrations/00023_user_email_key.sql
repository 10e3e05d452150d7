-- +goose Up

-- An address is one of an organization: who looks for one within an organization passes
-- over no other's. It comes after the address, for replicas that look for that alone.
alter table user_email
    drop constraint user_email_pkey,
    add constraint user_email_pkey primary key (email_key, organization_id, user_id);
