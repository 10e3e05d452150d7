/** The fields in which two values differ, as an update_mask names them. */
export function maskOf<T extends object>(before: T, after: T): string {
  return (Object.keys(after) as (keyof T & string)[])
    .filter((name) => JSON.stringify(before[name]) !== JSON.stringify(after[name]))
    .map((name) => name.replace(/[A-Z]/g, (c) => `_${c.toLowerCase()}`))
    .join(",");
}
