import { inEnvironment } from "@/api/environments";
import { oneOf, roles, userKinds, userStates } from "@/api/kinds";

/** What people are filtered by, as it stands in the address. */
export interface PeopleSearch {
  q?: string;
  state?: (typeof userStates)[number];
  role?: (typeof roles)[number];
  kind?: (typeof userKinds)[number];
  /** Its id, or what stands for the organization itself. */
  environment?: string;
}

export function peopleSearch(search: Record<string, unknown>): PeopleSearch {
  const state = oneOf(search.state, userStates);
  const role = oneOf(search.role, roles);
  const kind = oneOf(search.kind, userKinds);
  return {
    ...(typeof search.q === "string" && search.q !== "" && { q: search.q }),
    ...(state && { state }),
    ...(role && { role }),
    ...(kind && { kind }),
    ...(typeof search.environment === "string" && search.environment !== "" && { environment: search.environment }),
  };
}

/** The same in the words of the API. */
export function peopleQuery({ q, state, role, kind, environment }: PeopleSearch) {
  const filter = [role && `role = ${role}`, kind && `kind = ${kind}`, inEnvironment(environment)].filter(Boolean).join(" AND ");
  return { query: q, state, filter: filter || undefined };
}
