import { type Counted, useCount } from "@/api/counts";

/** How many requests there are, beside the name of what shows them. */
export function CountOf({ query }: { query: Counted }) {
  const count = useCount(query);
  return count === undefined ? null : <span className="quiet"> {count}</span>;
}
