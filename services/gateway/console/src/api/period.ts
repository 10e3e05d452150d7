/** What a length of time is given in. */
export const units = ["days", "hours", "minutes", "seconds"] as const;
export type Unit = (typeof units)[number];

const seconds: Record<Unit, number> = { days: 86_400, hours: 3_600, minutes: 60, seconds: 1 };

/** A length of time as a form has it; with an empty count it is none. */
export interface Period {
  count: string;
  unit: Unit;
}

/** A duration of the API, such as "86400s", in the longest unit of which it is a whole number. */
export function periodOf(duration: string | undefined): Period {
  if (!duration) return { count: "", unit: "days" };
  const length = Number.parseFloat(duration);
  const unit = length === 0 ? "days" : (units.find((u) => length % seconds[u] === 0) ?? "seconds");
  return { count: String(length / seconds[unit]), unit };
}

/**
 * As many units as words say, each of some seconds, as a duration of the API, which takes nine decimals and
 * no powers of ten. What is no number, or none that can be written so, is left to the API to refuse.
 */
export function inSeconds(words: string, unit: number): string {
  const length = Number(words) * unit;
  return `${Number.isFinite(length) ? Number(length.toFixed(6)) : words}s`;
}

/** A period as a duration of the API; undefined for none. What is no number is left to the API to refuse. */
export function durationOf({ count, unit }: Period): string | undefined {
  const words = count.trim().replace(",", ".");
  if (words === "") return undefined;
  return inSeconds(words, seconds[unit]);
}

/** A duration of the API as people say it, such as "3 days". */
export function inWords(duration: string, language: string): string {
  const { count, unit } = periodOf(duration);
  return new Intl.NumberFormat(language, { style: "unit", unit: unit.slice(0, -1), unitDisplay: "long" }).format(Number(count));
}
