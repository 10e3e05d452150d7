-- +goose Up

alter table entitlement_copy add column risk text not null default 'unspecified';
comment on column entitlement_copy.risk is 'low, medium, high or critical; unspecified if it was never judged.';
