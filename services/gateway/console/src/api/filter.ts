/** A text in a filter of the API (AIP-160). */
export function quoted(text: string): string {
  return `"${text.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
}

/** A filter for rows of which any of the fields contains the words. Undefined without words. */
export function containing(words: string | undefined, fields: readonly string[]): string | undefined {
  return words ? fields.map((field) => `${field}:${quoted(words)}`).join(" OR ") : undefined;
}

/** How many rows a filter may name. */
export const atOnce = 50;

/** A filter for some rows by a field that holds an id, as many as a filter may name. */
export function withIds(ids: readonly string[], field = "id"): string {
  return ids.slice(0, atOnce).map((id) => `${field} = ${quoted(id)}`).join(" OR ");
}

/** Filters that together name any number of rows, in the order that they come in: one more row changes the last filter alone. */
export function someAtATime(ids: readonly string[], field?: string): string[] {
  const wanted = [...new Set(ids)];
  return Array.from({ length: Math.ceil(wanted.length / atOnce) }, (_, i) => withIds(wanted.slice(i * atOnce, (i + 1) * atOnce).sort(), field));
}

/** A filter for the people whose manager somebody is. */
export function managedBy(id: string | undefined): string {
  return `managerId = ${quoted(id ?? "")}`;
}
