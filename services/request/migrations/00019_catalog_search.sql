-- +goose Up

-- What the catalog is searched by. A word is found by the range of those that it begins: the
-- operators of a text search are not allowed to find rows that a policy guards, and would
-- read all of them.
create table catalog_word (
	organization_id uuid not null,
	environment_id uuid not null,
	app_id uuid not null references app (id),
	word text collate "C" not null,
	place smallint not null,
	uses int not null,
	primary key (organization_id, word, app_id, place) include (environment_id),
	constraint catalog_word_place check (place between 1 and 5)
);
create index catalog_word_app on catalog_word (app_id);
comment on table catalog_word is 'The words of the apps that are not deleted and of what they give, in small letters and without accents.';
comment on column catalog_word.place is 'Where it stands: 1 the app''s name, 2 its category and tags, 3 a name or ref of what it gives, 4 the app''s description, 5 a description of what it gives.';
comment on column catalog_word.uses is 'How many of what the app gives have it there; 1 for the app itself.';
call protect('catalog_word', 'shared');

alter table entitlement add column words text not null default '';
comment on column entitlement.words is 'The words of its name and ref, each behind a space, then a bar, and those of its description.';
create index entitlement_risk on entitlement (app_id, risk) where delete_time is null and risk <> 'unspecified';
call carry_organization();

-- What is there already. The service itself knows more of other scripts' letters; whatever is
-- changed is read anew.
-- +goose StatementBegin
do $$
begin
	create function pg_temp.words(t text) returns text language sql immutable as
		$f$ select coalesce(string_agg(' ' || w, '' order by n), '') from (select w, min(n) n from regexp_split_to_table(
			lower(regexp_replace(normalize(t, NFKD), '[\u0300-\u036f]', '', 'g')), '[^[:alnum:]]+') with ordinality s (w, n) where w <> '' group by w) s $f$;
	update entitlement set words = pg_temp.words(name || ' ' || ref) || ' |' || pg_temp.words(description);
	insert into catalog_word (organization_id, environment_id, app_id, word, place, uses)
	select p.organization_id, p.environment_id, p.app_id, w.word, p.place, count(*)
	from (
		select organization_id, environment_id, id app_id, 1 place, pg_temp.words(name) words from app where delete_time is null
		union all select organization_id, environment_id, id, 2, pg_temp.words(category || ' ' || array_to_string(tags, ' ')) from app where delete_time is null
		union all select organization_id, environment_id, id, 4, pg_temp.words(description) from app where delete_time is null
		union all select e.organization_id, e.environment_id, e.app_id, 3, split_part(e.words, '|', 1) from entitlement e join app a on a.id = e.app_id
			where a.delete_time is null and e.delete_time is null
		union all select e.organization_id, e.environment_id, e.app_id, 5, split_part(e.words, '|', 2) from entitlement e join app a on a.id = e.app_id
			where a.delete_time is null and e.delete_time is null
	) p, string_to_table(trim(p.words), ' ') w (word)
	where w.word <> ''
	group by 1, 2, 3, 4, 5;
end $$;
-- +goose StatementEnd
