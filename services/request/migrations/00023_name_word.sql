-- +goose Up

-- The words of the names of people, apps and entitlements, by which requests are found.
-- Compared by bytes, so that row-level security lets a range of them be read from the index.
create table name_word (
	organization_id uuid not null,
	word text collate "C" not null,
	id uuid not null,
	kind text not null,
	primary key (organization_id, word, id)
);
create index name_word_id on name_word (id, word);
comment on table name_word is 'What words the names of people, apps and entitlements have now, whether they are still there or not. kind is the table.';
call protect('name_word', 'organization');

-- +goose StatementBegin
create function words_of(name text) returns setof text language sql immutable as $$
	select distinct w from regexp_split_to_table(lower(normalize(name, NFKC)), '[][ \t\r\n,.;:()/_@"''-]+') w where w <> ''
$$;
-- +goose StatementEnd
comment on function words_of is 'The words of a name as they are compared.';

-- +goose StatementBegin
create function keep_name_words() returns trigger language plpgsql as $$
declare called text := case tg_table_name when 'user_copy' then to_jsonb(new) ->> 'display_name' else to_jsonb(new) ->> 'name' end;
begin
	delete from name_word where id = new.id and word not in (select words_of(called));
	insert into name_word (organization_id, word, id, kind)
	select new.organization_id, w, new.id, tg_table_name from words_of(called) w on conflict do nothing;
	return null;
end $$;
-- +goose StatementEnd

create trigger name_words_insert after insert on user_copy for each row execute function keep_name_words();
create trigger name_words_update after update on user_copy for each row when (old.display_name is distinct from new.display_name) execute function keep_name_words();
create trigger name_words_insert after insert on app for each row execute function keep_name_words();
create trigger name_words_update after update on app for each row when (old.name is distinct from new.name) execute function keep_name_words();
create trigger name_words_insert after insert on entitlement for each row execute function keep_name_words();
create trigger name_words_update after update on entitlement for each row when (old.name is distinct from new.name) execute function keep_name_words();

-- The owner sees every row while this is done.
alter table user_copy no force row level security;
alter table app no force row level security;
alter table entitlement no force row level security;
alter table name_word no force row level security;
insert into name_word (organization_id, word, id, kind)
select organization_id, w, id, 'user_copy' from user_copy, words_of(display_name) w
union all select organization_id, w, id, 'app' from app, words_of(name) w
union all select organization_id, w, id, 'entitlement' from entitlement, words_of(name) w
on conflict do nothing;
alter table user_copy force row level security;
alter table app force row level security;
alter table entitlement force row level security;
alter table name_word force row level security;
