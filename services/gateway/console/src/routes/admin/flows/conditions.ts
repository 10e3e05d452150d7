/** What conditions see, and what each of it has. */
const facts = {
  beneficiary: ["id", "user_name", "email", "department", "title", "kind", "environment_id", "group_ids"],
  requester: ["id", "user_name", "email", "department", "title", "kind", "environment_id", "group_ids"],
  app: ["id", "name", "category", "tags"],
  entitlement: ["id", "name", "kind", "risk"],
  request: ["kind", "time", "permanent", "duration"],
} as const;

export interface Completion {
  name: string;
  /** The whole condition with it at its end. */
  whole: string;
}

/** What can come next at the end of a condition: a name that is begun, or the fields of one. */
export function completions(condition: string, join = false): Completion[] {
  if ((condition.match(/"/g) ?? []).length % 2 === 1) return []; // within a text
  const begun = /([a-z_]*)(\.([a-z_]*))?$/.exec(condition);
  const [, of = "", dot, field = ""] = begun ?? [];
  const roots = (Object.keys(facts) as (keyof typeof facts)[]).filter((root) => !join || root === "beneficiary");
  const before = condition.slice(0, condition.length - (begun?.[0].length ?? 0));
  if (dot === undefined) return roots.filter((root) => root.startsWith(of) && root !== of).map((root) => ({ name: root, whole: `${before}${root}.` }));
  const root = roots.find((r) => r === of);
  if (root === undefined) return [];
  return facts[root].filter((name) => name.startsWith(field) && name !== field).map((name) => ({ name: `${root}.${name}`, whole: `${before}${root}.${name}` }));
}
