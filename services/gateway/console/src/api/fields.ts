import { Problem } from "./problem";

/** What is wrong with the fields that a form shows, and which of the API's paths that covers. */
export interface FieldErrors<K extends string> {
  of: Partial<Record<K, string>>;
  shown: string[];
}

/** Finds what the API says is wrong with fields. A path may begin with the message that was sent ("app.name"); a member of a list ("adminIds[0]") belongs to its field. */
export function fieldErrors<K extends string>(error: unknown, names: readonly K[], prefix = ""): FieldErrors<K> {
  const found: FieldErrors<K> = { of: {}, shown: [] };
  if (!(error instanceof Problem)) return found;
  for (const [path, text] of Object.entries(error.fields)) {
    const bare = prefix !== "" && path.startsWith(`${prefix}.`) ? path.slice(prefix.length + 1) : path;
    const name = names.find((n) => bare === n || (bare.startsWith(`${n}[`) && bare.endsWith("]")));
    if (name === undefined) continue;
    found.of[name] ??= text;
    found.shown.push(path);
  }
  return found;
}
