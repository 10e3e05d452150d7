-- +goose Up

alter table operation add column listed_from timestamptz;
comment on column operation.listed_from is 'From when on a removal that still waits for its turn is on a list; null takes nothing away, or has not waited.';
