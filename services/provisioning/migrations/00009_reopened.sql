-- +goose Up

-- An item that was resolved by mistake is reopened by a new one; it stays as it is.
alter table work_item
    add column reopens uuid,
    add column reopen_reason text not null default '',
    add column before jsonb;
comment on column work_item.reopens is 'The resolved item that this one reopens.';
comment on column work_item.reopen_reason is 'Why it was reopened.';
comment on column work_item.before is 'Of an item that a person has resolved: how its assignment stood before, so that it can be reopened.';
create unique index work_item_reopens on work_item (reopens) where reopens is not null;

alter table account add column words jsonb;
comment on column account.words is 'For each thing that is known, the resolved item that was the last to say it; nothing of what an integration has said since.';

alter table revocation add column version bigint not null default 0;
comment on column revocation.version is 'Counts up each time it is done, and each time it turns out not to be.';
-- Revocations that are done are looked up when an item is reopened.
create index revocation_done_of_account on revocation (account_id) where done;
