import { api, type Environment } from "./client";
import { quoted } from "./filter";
import { useWhole } from "./me";

/** In the address, in place of an id: what belongs to the organization itself. */
export const ofOrganization = "organization";

/** The environments, by name, for somebody who acts in the whole organization. Somebody of one has nothing to choose. */
export function useEnvironments(): readonly Environment[] {
  const whole = useWhole();
  return api.useQuery("get", "/v1/environments", { params: { query: { pageSize: 1000 } } }, { staleTime: 60_000, enabled: whole }).data?.environments ?? [];
}

/** A filter for what belongs to an environment, or to the organization itself. Undefined for everything. */
export function inEnvironment(environment: string | undefined): string | undefined {
  return environment && `environmentId = ${quoted(environment === ofOrganization ? "" : environment)}`;
}
