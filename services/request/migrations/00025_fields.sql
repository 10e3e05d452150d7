-- +goose Up

-- What a flow asks whoever requests, and what it looks at of what is requested.
alter table access_request add column fields jsonb;
comment on column access_request.fields is 'What whoever asked has filled in, as key, label and value, in the order of the form; null for nothing.';
alter table request_item add column facts bytea;
comment on column request_item.facts is 'What the catalog said of it when it was asked for, as a gatehouse.request.v1.RequestItem; null for nothing.';
