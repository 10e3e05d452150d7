import type { InfiniteData } from "@tanstack/react-query";
import { createContext, useCallback, useContext, useMemo, useState } from "react";
import type { Paged } from "./Rows";

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

/** useHeld for a list that is read page by page, whose rows have a name in each page: held rows stand at its end. */
export function useHeldPages<K extends string, T extends { id?: string }, P extends { [k in K]?: T[] }>(list: Paged<P>, rows: K): { list: Paged<P>; hold: Hold } {
  const pages = list.data?.pages;
  const all = useMemo(() => pages?.flatMap((p) => p[rows] ?? []) ?? [], [pages, rows]);
  const { shown, hold } = useHeld(all);
  const gone = shown.length - all.length;
  const data = useMemo((): InfiniteData<P> | undefined => {
    const last = list.data?.pages.at(-1);
    if (!list.data || !last || gone === 0) return list.data;
    return { ...list.data, pages: [...list.data.pages.slice(0, -1), { ...last, [rows]: [...(last[rows] ?? []), ...shown.slice(-gone)] }] };
  }, [list.data, rows, shown, gone]);
  return { list: { ...list, data }, hold };
}
