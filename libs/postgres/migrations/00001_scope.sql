-- +goose Up

-- What a transaction may see: one organization or every one, and in it one
-- environment or every one. Without a scope, null, it sees nothing.

create function gatehouse_organization() returns uuid language sql stable parallel safe
return nullif(current_setting('gatehouse.organization', true), '')::uuid;
comment on function gatehouse_organization is 'The organization whose rows the transaction sees; the highest uuid: every organization''s.';

create function gatehouse_environment() returns uuid language sql stable parallel safe
return nullif(current_setting('gatehouse.environment', true), '')::uuid;
comment on function gatehouse_environment is 'The environment whose rows the transaction sees; the nil uuid: those of every environment and of the organization itself.';

-- The condition is a case, so that the planner does not take it for what finds the
-- rows: it would rather read all of an organization than go by a key. Statements
-- that want an organization's rows say so. The selects in it are done once for
-- each statement, and not for each row.
create function gatehouse_condition(organization text, environment text) returns text language sql immutable
return format('case (select gatehouse_organization()) when %I then %s when ''ffffffff-ffff-ffff-ffff-ffffffffffff'' then true else false end',
    organization,
    case when environment is null then 'true' else
        format('case (select gatehouse_environment()) when %I then true when ''00000000-0000-0000-0000-000000000000'' then true else false end', environment)
    end);
comment on function gatehouse_condition is 'The condition under which a row is within the scope, by the columns that say whose it is; environment may be null.';

-- +goose StatementBegin
create procedure protect_by(protected regclass, organization text, environment text) language plpgsql as $$
begin
    execute format('alter table %s enable row level security', protected);
    execute format('alter table %s force row level security', protected);
    execute format('create policy scope on %s using (%s)', protected, gatehouse_condition(organization, environment));
end $$;

create procedure protect(protected regclass, visibility text) language plpgsql as $$
begin
    case visibility
    when 'organization' then
        call protect_by(protected, 'organization_id', null);
    when 'environment' then
        call protect_by(protected, 'organization_id', 'environment_id');
    when 'shared' then
        call protect_by(protected, 'organization_id', 'environment_id');
        execute format('create policy shared on %s for select using (%s and environment_id = ''00000000-0000-0000-0000-000000000000'')',
            protected, gatehouse_condition('organization_id', null));
    end case;
end $$;
-- +goose StatementEnd
comment on procedure protect_by is 'Binds a table to the scope of the transaction, by the columns that say whose a row is.';
comment on procedure protect is 'Binds a table with an organization_id to the scope of the transaction. Visibility environment: rows of an environment are for that environment and the organization. shared: an environment also reads the organization''s own rows. organization: the table has no environment_id, and is reached through rows that do.';
