-- +goose Up

-- A grant that was never in place can be given up.
alter domain grant_end drop constraint grant_end;
alter domain grant_end add constraint grant_end
    check (value in ('requested', 'expired', 'user_removed', 'app_deleted', 'entitlement_deleted', 'given_up'));

create table given_up_item (
    item_id         uuid primary key,
    organization_id uuid not null,
    environment_id  uuid not null,
    request_id      uuid not null,
    user_id         uuid not null,
    app_id          uuid not null,
    create_time     timestamptz not null
);
comment on table given_up_item is 'Items of requests that were given up before their approval arrived here: their grants are over at once. Written under the lock of the assignment in account.';
comment on column given_up_item.item_id is 'The item of the request, which has one grant at most.';
comment on column given_up_item.environment_id is 'That of the assignment; the nil uuid is the organization itself.';
comment on column given_up_item.request_id is 'The request.';
comment on column given_up_item.user_id is 'Who would have got it.';
comment on column given_up_item.app_id is 'In which app.';
comment on column given_up_item.create_time is 'When it arrived.';
call protect('given_up_item', 'environment');
