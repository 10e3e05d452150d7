-- +goose Up

-- What a transaction may see is a range of organizations and a range of
-- environments: one, or all. Without a scope they are empty.

create function gatehouse_organization_low() returns uuid language sql stable parallel safe
return coalesce(nullif(current_setting('gatehouse.organization_low', true), ''), 'ffffffff-ffff-ffff-ffff-ffffffffffff')::uuid;

create function gatehouse_organization_high() returns uuid language sql stable parallel safe
return coalesce(nullif(current_setting('gatehouse.organization_high', true), ''), '00000000-0000-0000-0000-000000000000')::uuid;

create function gatehouse_environment_low() returns uuid language sql stable parallel safe
return coalesce(nullif(current_setting('gatehouse.environment_low', true), ''), 'ffffffff-ffff-ffff-ffff-ffffffffffff')::uuid;

create function gatehouse_environment_high() returns uuid language sql stable parallel safe
return coalesce(nullif(current_setting('gatehouse.environment_high', true), ''), '00000000-0000-0000-0000-000000000000')::uuid;

-- A case, so that the planner does not take the ranges for what finds the rows: it
-- would suppose that they leave one row in 40,000, and read all rows of an
-- organization to find one by its key. Statements that want an organization's
-- rows say so.
create function gatehouse_sees(organization uuid) returns boolean language sql stable parallel safe
return case when organization >= gatehouse_organization_low() then organization <= gatehouse_organization_high() else false end;

create function gatehouse_sees(organization uuid, environment uuid) returns boolean language sql stable parallel safe
return case when organization >= gatehouse_organization_low() and organization <= gatehouse_organization_high()
    then environment >= gatehouse_environment_low() and environment <= gatehouse_environment_high() else false end;

-- +goose StatementBegin
create procedure protect(protected regclass, visibility text) language plpgsql as $$
begin
    execute format('alter table %s enable row level security', protected);
    execute format('alter table %s force row level security', protected);
    case visibility
    when 'organization' then
        execute format('create policy scope on %s using (gatehouse_sees(organization_id))', protected);
    when 'environment' then
        execute format('create policy scope on %s using (gatehouse_sees(organization_id, environment_id))', protected);
    when 'shared' then
        execute format('create policy scope on %s using (gatehouse_sees(organization_id, environment_id))', protected);
        execute format('create policy shared on %s for select using (gatehouse_sees(organization_id) and environment_id = ''00000000-0000-0000-0000-000000000000'')', protected);
    end case;
end $$;
-- +goose StatementEnd
comment on procedure protect is 'Binds a table with an organization_id to the scope of the transaction. Visibility environment: rows of an environment are for that environment and the organization. shared: an environment also reads the organization''s own rows. organization: the table has no environment_id, and is reached through rows that do.';
