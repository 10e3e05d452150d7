-- +goose Up

create table answer (
    organization_id uuid not null,
    caller_id       uuid not null,
    request_id      uuid not null,
    content         bytea not null,
    answer          bytea not null,
    create_time     timestamptz not null,
    constraint answer_once primary key (organization_id, caller_id, request_id)
);
comment on table answer is 'What calls with a request_id have made, so that a repeated one gets the same answer. A row is written in the transaction that makes it, and goes a day later.';
comment on column answer.request_id is 'Chosen by the caller, see AIP-155.';
comment on column answer.content is 'HMAC-SHA256 of what was asked for, with a key that is not in the database: it may have had a secret.';
comment on column answer.answer is 'The answer, as the message that the method gives, without secrets that are shown once.';

create index answer_by_time on answer (create_time);

call protect('answer', 'organization');

-- +goose Down
drop table answer;
