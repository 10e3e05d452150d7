-- +goose Up

alter table api_token
    add column maker_user_id uuid,
    add constraint api_token_maker_fkey foreign key (maker_user_id, organization_id) references users (id, organization_id);
comment on column api_token.maker_user_id is 'Who made it. Null if it was made before this was recorded.';

create index api_token_by_maker on api_token (maker_user_id) where maker_user_id <> user_id and revoke_time is null;
