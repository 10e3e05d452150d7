import { checklistKinds, oneOf } from "@/api/kinds";

/** What checklists are filtered by, as it stands in the address. */
export interface ChecklistSearch {
  kind?: (typeof checklistKinds)[number];
  /** Id of the person. */
  user?: string;
  closed?: true;
  overdue?: true;
}

export function checklistSearch(search: Record<string, unknown>): ChecklistSearch {
  const kind = oneOf(search.kind, checklistKinds);
  return {
    ...(kind && { kind }),
    ...(typeof search.user === "string" && search.user !== "" && { user: search.user }),
    ...(search.closed ? { closed: true as const } : {}),
    ...(search.overdue ? { overdue: true as const } : {}),
  };
}

/** Where the list as filtered is downloaded. */
export function exportAddress({ kind, user, closed, overdue }: ChecklistSearch, format: "csv" | "xlsx"): string {
  const query = new URLSearchParams({ format });
  if (kind) query.set("kind", kind);
  if (user) query.set("userId", user);
  if (closed) query.set("closed", "true");
  if (overdue) query.set("overdue", "true");
  return `/v1/checklists:export?${query.toString()}`;
}
