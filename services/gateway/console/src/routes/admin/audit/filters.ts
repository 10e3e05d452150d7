/** What stands in the address. */
export interface AuditFilters {
  /** Who did it. */
  by?: string;
  /** Whom it is about. */
  person?: string;
  app?: string;
  request?: string;
  event?: string;
  /** Days, such as "2026-03-01", both included. */
  from?: string;
  to?: string;
}

const day = /^\d{4}-\d{2}-\d{2}$/;

/** A day, or nothing. */
export function dayOf(value: unknown): string | undefined {
  return typeof value === "string" && day.test(value) && !Number.isNaN(Date.parse(value)) ? value : undefined;
}

/** When a day begins in the viewer's zone; with after, when it is over. */
export function startOf(date: string | undefined, after = 0): string | undefined {
  if (date === undefined) return undefined;
  const [y = 0, m = 1, d = 1] = date.split("-").map(Number);
  return new Date(y, m - 1, d + after).toISOString();
}
