import type { Environment } from "@/api/client";

/** What an environment may have no more of than a number. */
export const quotaKinds = ["users", "sources", "apps", "flows", "openRequests", "integrations"] as const;
export type QuotaKind = (typeof quotaKinds)[number];

/** What a form changes of an environment. A quota is as it was typed: nothing bounds nothing. */
export interface EnvironmentValues {
  name: string;
  quotas: Record<QuotaKind, string>;
}

/** The fields as the API calls them. */
export const environmentFields = ["name", ...quotaKinds.map((kind) => `quotas.${kind}` as const)] as const;

export function environmentValues(environment?: Environment): EnvironmentValues {
  const quota = (kind: QuotaKind) => String(environment?.quotas?.[kind] || "");
  return { name: environment?.name ?? "", quotas: Object.fromEntries(quotaKinds.map((kind) => [kind, quota(kind)])) as EnvironmentValues["quotas"] };
}

const most = 2 ** 31 - 1;

/** Whether what was typed is a quota: nothing, or a whole number as large as the API takes. Not 0, which bounds nothing there and looks as if it forbade everything. */
export function isQuota(typed: string): boolean {
  return typed.trim() === "" || (/^\d+$/.test(typed.trim()) && Number(typed) > 0 && Number(typed) <= most);
}

/** The quotas that are set, for the API; the others bound nothing. */
export function quotasOf({ quotas }: EnvironmentValues): Partial<Record<QuotaKind, number>> {
  return Object.fromEntries(quotaKinds.filter((kind) => Number(quotas[kind]) > 0).map((kind) => [kind, Number(quotas[kind])]));
}

/** The update_mask for what a form has changed: each quota by itself. */
export function environmentMask(before: EnvironmentValues, after: EnvironmentValues): string {
  const were = quotasOf(before);
  const are = quotasOf(after);
  const quotas = quotaKinds.filter((kind) => were[kind] !== are[kind]).map((kind) => `quotas.${kind.replace(/[A-Z]/g, (c) => `_${c.toLowerCase()}`)}`);
  return [...(before.name.trim() === after.name.trim() ? [] : ["name"]), ...quotas].join(",");
}
