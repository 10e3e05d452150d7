import type { ApiToken } from "@/api/client";

/** Whether a token still works. */
export function standing(token: Pick<ApiToken, "revokeTime" | "expireTime">, now: Date): "valid" | "expired" | "revoked" {
  if (token.revokeTime) return "revoked";
  return token.expireTime && new Date(token.expireTime) <= now ? "expired" : "valid";
}

/** The areas that a token can be narrowed to, each for reading or for all. */
export const areas = [
  "access",
  "approvals",
  "apps",
  "audit",
  "credentials",
  "flows",
  "identity_providers",
  "integrations",
  "operations",
  "organization",
  "people",
  "requests",
  "sources",
  "work",
] as const;

export type Area = (typeof areas)[number];
export type Reach = Partial<Record<Area, "read" | "write">>;

/** The scopes of what was chosen, in the words of the API. */
export function scopesOf(reach: Reach): string[] {
  return areas.flatMap((area) => (reach[area] ? [`${area}:${reach[area]}`] : []));
}

/** What the API says is wrong with any of the scopes. */
export function scopeError(errors: Readonly<Record<string, string>>): string | undefined {
  return Object.entries(errors).find(([field]) => field === "scopes" || field.startsWith("scopes["))?.[1];
}
