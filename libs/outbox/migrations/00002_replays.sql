-- +goose Up
alter table parked_event
    add column replays integer,
    add column not_yet boolean not null default false;
comment on column parked_event.replays is 'How often the program has replayed the event by itself, while it still does so; null if it does not (any more).';
comment on column parked_event.not_yet is 'Something that the event stands on was missing when it was tried last.';

-- +goose Down
alter table parked_event drop column replays, drop column not_yet;
