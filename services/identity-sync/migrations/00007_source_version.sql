-- +goose Up

alter table source add column version bigint not null default 1,
    add constraint source_version check (version >= 1);
alter table source alter column version drop default;
comment on column source.version is 'Counts up with every change of the name and the token, and not with what the source does.';
