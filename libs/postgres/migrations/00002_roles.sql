-- +goose Up

-- Every organization's rows are a role's to see, and no setting that anybody can
-- set: the policy system is for gatehouse_system alone.
create or replace function gatehouse_condition(organization text, environment text) returns text language sql immutable
return format('case (select gatehouse_organization()) when %I then %s else false end',
    organization,
    case when environment is null then 'true' else
        format('case (select gatehouse_environment()) when %I then true when ''00000000-0000-0000-0000-000000000000'' then true else false end', environment)
    end);

create function gatehouse_system_condition() returns text language sql immutable
return 'case (select gatehouse_organization()) when ''ffffffff-ffff-ffff-ffff-ffffffffffff'' then true else false end';
comment on function gatehouse_system_condition is 'The condition under which gatehouse_system sees every organization''s rows.';

-- +goose StatementBegin
create or replace procedure protect_by(protected regclass, organization text, environment text) language plpgsql as $$
begin
    execute format('alter table %s enable row level security', protected);
    execute format('alter table %s force row level security', protected);
    execute format('create policy scope on %s using (%s)', protected, gatehouse_condition(organization, environment));
    execute format('create policy system on %s to gatehouse_system using (%s)', protected, gatehouse_system_condition());
end $$;

-- The tables that are there already.
do $$
declare p record;
begin
    for p in
        select polrelid::regclass as protected, polname, regexp_replace(pg_get_expr(polqual, polrelid), '\s+WHEN ''ffffffff-ffff-ffff-ffff-ffffffffffff''::uuid THEN true', '', 'g') as condition
        from pg_policy where polname in ('scope', 'shared')
    loop
        execute format('alter policy %I on %s using (%s)', p.polname, p.protected, p.condition);
        if p.polname = 'scope' then
            execute format('create policy system on %s to gatehouse_system using (%s)', p.protected, gatehouse_system_condition());
        end if;
    end loop;
end $$;
-- +goose StatementEnd

-- +goose StatementBegin
create procedure carry_organization() language plpgsql as $$
declare f record;
begin
    for f in
        select c.conname as name, c.conrelid::regclass as source, c.confrelid::regclass as target, t.relname || '_organization' as key,
            a.attname as source_column, b.attname as target_column,
            case c.confdeltype when 'c' then ' on delete cascade' else '' end || case when c.condeferrable then ' deferrable initially deferred' else '' end as rules
        from pg_constraint c
        join pg_class t on t.oid = c.confrelid
        join pg_attribute a on a.attrelid = c.conrelid and a.attnum = c.conkey[1]
        join pg_attribute b on b.attrelid = c.confrelid and b.attnum = c.confkey[1]
        where c.contype = 'f' and cardinality(c.conkey) = 1 and c.connamespace = 'public'::regnamespace
            and (select count(*) from pg_attribute o where o.attrelid in (c.conrelid, c.confrelid) and o.attname = 'organization_id' and not o.attisdropped)
                = case when c.conrelid = c.confrelid then 1 else 2 end
    loop
        if not exists (select from pg_constraint u where u.conrelid = f.target and u.conname = f.key) then
            execute format('alter table %s add constraint %I unique (%I, organization_id)', f.target, f.key, f.target_column);
        end if;
        execute format('alter table %s drop constraint %I, add constraint %I foreign key (%I, organization_id) references %s (%I, organization_id)%s',
            f.source, f.name, f.name, f.source_column, f.target, f.target_column, f.rules);
    end loop;
end $$;
-- +goose StatementEnd
comment on procedure carry_organization is 'Has every foreign key between tables with an organization_id carry it, so that no row can refer to another organization''s.';
