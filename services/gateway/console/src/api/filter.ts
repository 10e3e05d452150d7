/** A text in a filter of the API (AIP-160). */
export function quoted(text: string): string {
  return `"${text.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
}

/** A filter for rows of which any of the fields contains the words. Undefined without words. */
export function containing(words: string | undefined, fields: readonly string[]): string | undefined {
  return words ? fields.map((field) => `${field}:${quoted(words)}`).join(" OR ") : undefined;
}

/** A filter for some rows by their ids, as many as a filter may name. */
export function withIds(ids: readonly string[]): string {
  return ids.slice(0, 50).map((id) => `id = ${quoted(id)}`).join(" OR ");
}

/** A filter for the people whose manager somebody is. */
export function managedBy(id: string | undefined): string {
  return `managerId = ${quoted(id ?? "")}`;
}
