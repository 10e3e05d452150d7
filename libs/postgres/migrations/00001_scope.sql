-- +goose Up

-- What a transaction may see is a range of organizations and a range of
-- environments: one, or all. Ranges of uuids can be looked up in an index, and
-- without a scope they are empty.

create function gatehouse_organization_low() returns uuid language sql stable parallel safe
return coalesce(nullif(current_setting('gatehouse.organization_low', true), ''), 'ffffffff-ffff-ffff-ffff-ffffffffffff')::uuid;

create function gatehouse_organization_high() returns uuid language sql stable parallel safe
return coalesce(nullif(current_setting('gatehouse.organization_high', true), ''), '00000000-0000-0000-0000-000000000000')::uuid;

create function gatehouse_environment_low() returns uuid language sql stable parallel safe
return coalesce(nullif(current_setting('gatehouse.environment_low', true), ''), 'ffffffff-ffff-ffff-ffff-ffffffffffff')::uuid;

create function gatehouse_environment_high() returns uuid language sql stable parallel safe
return coalesce(nullif(current_setting('gatehouse.environment_high', true), ''), '00000000-0000-0000-0000-000000000000')::uuid;

-- +goose StatementBegin
create procedure protect(protected regclass, visibility text) language plpgsql as $$
declare
    organization constant text := 'organization_id between gatehouse_organization_low() and gatehouse_organization_high()';
    environment constant text := 'environment_id between gatehouse_environment_low() and gatehouse_environment_high()';
begin
    execute format('alter table %s enable row level security', protected);
    execute format('alter table %s force row level security', protected);
    case visibility
    when 'organization' then
        execute format('create policy scope on %s using (%s)', protected, organization);
    when 'environment' then
        execute format('create policy scope on %s using (%s and %s)', protected, organization, environment);
    when 'shared' then
        execute format('create policy scope on %s using (%s and %s)', protected, organization, environment);
        execute format('create policy shared on %s for select using (%s and environment_id = ''00000000-0000-0000-0000-000000000000'')', protected, organization);
    end case;
end $$;
-- +goose StatementEnd
comment on procedure protect is 'Binds a table with an organization_id to the scope of the transaction. Visibility environment: rows of an environment are for that environment and the organization. shared: an environment also reads the organization''s own rows. organization: the table has no environment_id, and is reached through rows that do.';
