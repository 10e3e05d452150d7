import { createContext, useCallback, useContext, useState } from "react";

type Hold = (id: string, on: boolean) => void;

const Holding = createContext<Hold>(() => undefined);

/** Stands around a list of useHeld. */
export const HoldingRows = Holding.Provider;

/** Holds a row, or lets it go. */
export function useHold(): Hold {
  return useContext(Holding);
}

/** A list whose held rows stay after they have gone from it: a dialog in one stays open, and can say what has happened meanwhile. */
export function useHeld<T extends { id?: string }>(rows: readonly T[]): { shown: readonly T[]; hold: Hold } {
  const [ids, setIds] = useState<readonly string[]>([]);
  const [seen, setSeen] = useState(rows);
  const gone = seen.filter((row) => ids.includes(row.id ?? "") && !rows.some((r) => r.id === row.id));
  // What is held is as it was seen last.
  const known = [...rows, ...gone];
  if (known.length !== seen.length || known.some((row, i) => row !== seen[i])) setSeen(known);
  const hold = useCallback<Hold>((id, on) => setIds((now) => (on ? [...now, id] : now.filter((k) => k !== id))), []);
  return { shown: known, hold };
}
