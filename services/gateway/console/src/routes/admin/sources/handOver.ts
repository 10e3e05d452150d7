import { quoted } from "@/api/filter";

/** What is sent to give people to a source. */
export interface HandOverBody {
  filter?: string;
  users?: { userId: string; externalId: string }[];
}

/** A filter for the people whom no source owns, and whom a source of that environment can be given; empty: of the organization itself. */
export function unowned(environmentId: string): string {
  return `sourceId = "" AND environmentId = ${quoted(environmentId)} AND (kind = "USER_KIND_EMPLOYEE" OR kind = "USER_KIND_EXTERNAL")`;
}

export function handOverBody(all: boolean, environmentId: string, ids: readonly string[], externalIds: Readonly<Record<string, string>>): HandOverBody {
  if (all) return { filter: unowned(environmentId) };
  return { users: ids.map((userId) => ({ userId, externalId: (externalIds[userId] ?? "").trim() })) };
}

/** What the API calls the fields of those named. */
export function handOverFields(ids: readonly string[]): (`users[${number}].userId` | `users[${number}].externalId`)[] {
  return ids.flatMap((_, i) => [`users[${i}].userId`, `users[${i}].externalId`] as const);
}
