import { type InfiniteData, useQueryClient } from "@tanstack/react-query";
import { defaultRangeExtractor, measureElement, type Range, useWindowVirtualizer, type VirtualItem } from "@tanstack/react-virtual";
import { memo, type ReactNode, useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from "react";
import { lookAt } from "@/api/pages";
import { Loading } from "./Loading";
import { More } from "./More";
import { ProblemNote } from "./ProblemNote";
import { type Place, PlaceContext } from "./Row";

/** A list that is read page by page. */
export interface Paged<P> {
  data?: InfiniteData<P>;
  error: unknown;
  isPending: boolean;
  isPlaceholderData?: boolean;
  hasNextPage: boolean;
  isFetchingNextPage: boolean;
  isFetchNextPageError: boolean;
  fetchNextPage: () => Promise<unknown>;
  refetch: () => Promise<unknown>;
}

interface Props<P, T> {
  list: Paged<P>;
  /** The rows of a page. */
  of: (page: P) => readonly T[] | undefined;
  /** What makes a row the same row when the list is read again. */
  id: (row: T) => string | undefined;
  /** One Row. */
  children: (row: T) => ReactNode;
  /** Shown if there is nothing. */
  empty?: ReactNode;
  label?: string;
  /** As the lines of a list, as cards, as many beside each other as there is room for, or as sections of a page. */
  as?: "list" | "cards" | "sections";
  /** Fields that what went wrong is shown beside of. */
  shown?: readonly string[];
}

/** How wide a card is at least, and how far they are apart: as .columns says. */
const cardWidth = 320;
const gap = 16;

/** How long a place is looked at before the list is told: going back to a place takes a moment. */
const settled = 200;

/** Heights as they were, by place in the history: going back to a list leads to where one was. */
const heights = new Map<string, VirtualItem[]>();
const remembered = 30;

/**
 * A list of any length. Only the rows that are seen are there, and some around them; the next page
 * is asked for when its end comes near. The row that has the focus stays, and those beside it, so
 * that the keyboard leads on. To programs it is a list that knows how long it is and where each row
 * stands.
 */
export function Rows<P, T>({ list, of, id, children, empty, label, as, shown }: Props<P, T>) {
  const pages = list.data?.pages;
  const { rows, starts } = useMemo(() => flat(pages ?? [], of, id), [pages]);
  useNext(list, rows.length === 0, pages?.length ?? 0);
  return (
    <>
      {list.isPending && <Loading />}
      {!!list.error && !list.isFetchNextPageError && <ProblemNote error={list.error} shown={shown} again={() => void list.refetch()} />}
      {pages && rows.length === 0 && !list.hasNextPage && empty}
      {rows.length > 0 && (
        <Window list={list} rows={rows} starts={starts} id={id} label={label} as={as}>
          {children}
        </Window>
      )}
      {list.isFetchingNextPage && <Loading rows={1} />}
      {list.isFetchNextPageError && (
        <>
          <ProblemNote error={list.error} />
          <More list={list} />
        </>
      )}
    </>
  );
}

/** Asks for the next page when its end is near. */
function useNext<P>(list: Paged<P>, near: boolean, length: number) {
  const wanted = near && list.hasNextPage && !list.isFetchingNextPage && !list.isFetchNextPageError && !list.isPlaceholderData;
  const next = useRef(list.fetchNextPage);
  useEffect(() => {
    next.current = list.fetchNextPage;
  });
  useEffect(() => {
    if (wanted) void next.current();
  }, [wanted, length]);
}

/** A list that is read at once. */
export function whole<T>(query: { data?: unknown; error: unknown; isPending: boolean; refetch: () => Promise<unknown> }, rows: readonly T[]): Paged<readonly T[]> {
  return {
    data: query.data === undefined ? undefined : { pages: [rows], pageParams: [""] },
    error: query.error,
    isPending: query.isPending,
    hasNextPage: false,
    isFetchingNextPage: false,
    isFetchNextPageError: false,
    fetchNextPage: () => Promise.resolve(),
    refetch: query.refetch,
  };
}

/** All rows, each once, and with which each page begins. */
function flat<P, T>(pages: readonly P[], of: Props<P, T>["of"], id: Props<P, T>["id"]) {
  const rows: T[] = [];
  const starts: number[] = [];
  const seen = new Set<string | undefined>();
  for (const page of pages) {
    starts.push(rows.length);
    for (const row of of(page) ?? []) {
      // A page that was read later may begin with what another ended with.
      if (seen.has(id(row))) continue;
      seen.add(id(row));
      rows.push(row);
    }
  }
  return { rows, starts };
}

interface WindowProps<P, T> extends Pick<Props<P, T>, "list" | "id" | "children" | "label" | "as"> {
  rows: readonly T[];
  starts: readonly number[];
}

function Window<P, T>({ list, rows, starts, id, children, label, as = "list" }: WindowProps<P, T>) {
  const queries = useQueryClient();
  const element = useRef<HTMLElement>(null);
  const [top, setTop] = useState(0);
  const [beside, setBeside] = useState(1);
  const [focused, focus] = useState<string>();
  useLayoutEffect(() => {
    const look = () => {
      const list = element.current;
      if (!list) return;
      setTop(Math.round(list.getBoundingClientRect().top + window.scrollY + list.clientTop));
      if (as === "cards") setBeside(Math.max(1, Math.floor((list.clientWidth + gap) / (cardWidth + gap))));
    };
    look();
    // What is above it may grow.
    const observer = globalThis.ResizeObserver && new ResizeObserver(look);
    observer?.observe(document.body);
    if (element.current) observer?.observe(element.current);
    return () => observer?.disconnect();
  }, [as]);

  const [place] = useState(() => `${placeInHistory()} ${id(rows[0]!)}`);
  const lines = Math.ceil(rows.length / beside);
  const focusedLine = useMemo(() => (focused === undefined ? -1 : Math.floor(rows.findIndex((row) => id(row) === focused) / beside)), [rows, focused, beside]);
  const estimate = as === "list" ? 70 : 200;
  const virtual = useWindowVirtualizer<HTMLElement>({
    count: lines,
    estimateSize: () => estimate,
    gap: as === "list" ? 0 : gap,
    overscan: 8,
    scrollMargin: top,
    initialMeasurementsCache: heights.get(place),
    getItemKey: useCallback((line: number) => id(rows[line * beside]!) ?? line, [rows, beside]),
    // What is not laid out has no height yet.
    measureElement: (node, entry, instance) => measureElement(node, entry, instance) || estimate,
    rangeExtractor: useCallback(
      (range: Range) => {
        const seen = defaultRangeExtractor(range);
        if (focusedLine < 0) return seen;
        const kept = [focusedLine - 1, focusedLine, focusedLine + 1].filter((line) => line >= 0 && line < range.count);
        return [...new Set([...kept, ...seen])].sort((a, b) => a - b);
      },
      [focusedLine],
    ),
  });
  useEffect(
    () => () => {
      heights.delete(place);
      heights.set(place, virtual.takeSnapshot());
      for (const old of [...heights.keys()].slice(0, -remembered)) heights.delete(old);
    },
    [place, virtual],
  );

  const items = virtual.getVirtualItems();
  const first = (virtual.range?.startIndex ?? 0) * beside;
  const last = ((virtual.range?.endIndex ?? 0) + 1) * beside - 1;
  const near = last >= rows.length - Math.max(10, 2 * beside);
  useNext(list, near, rows.length);
  const latest = useRef(list);
  useEffect(() => {
    latest.current = list;
  });
  const pageOf = (row: number) => Math.max(0, starts.findLastIndex((start) => start <= row));
  const firstPage = pageOf(first);
  const lastPage = pageOf(last);
  const data = list.data;
  useEffect(() => {
    if (!data || virtual.isScrolling) return;
    const timer = setTimeout(() => {
      if (lookAt(queries, data, firstPage, lastPage)) void latest.current.refetch();
    }, settled);
    return () => clearTimeout(timer);
  }, [queries, data, firstPage, lastPage, virtual.isScrolling]);

  const length = list.hasNextPage ? -1 : rows.length;
  const style = { height: virtual.getTotalSize() };
  const props = { "aria-label": label, style, "data-rows": true };
  const line = (item: VirtualItem) => ({ index: item.index, start: item.start - top, measure: virtual.measureElement });
  if (as === "list") {
    return (
      <ul {...props} className="list" ref={element as React.RefObject<HTMLUListElement>}>
        {items.map((item) => (
          <Line key={item.key} row={rows[item.index]!} id={id} length={length} focus={focus} {...line(item)}>
            {children as (row: unknown) => ReactNode}
          </Line>
        ))}
      </ul>
    );
  }
  return (
    <div {...props} role="list" ref={element as React.RefObject<HTMLDivElement>}>
      {items.map((item) => (
        <div key={item.key} role="presentation" className="columns" ref={virtual.measureElement} data-index={item.index} style={{ top: item.start - top, gridTemplateColumns: `repeat(${beside}, minmax(0, 1fr))` }}>
          {rows.slice(item.index * beside, (item.index + 1) * beside).map((row, i) => (
            <Line key={id(row)} row={row} id={id} length={length} focus={focus} index={item.index * beside + i}>
              {children as (row: unknown) => ReactNode}
            </Line>
          ))}
        </div>
      ))}
    </div>
  );
}

interface LineProps extends Omit<Place, "onFocus"> {
  row: unknown;
  id: (row: never) => string | undefined;
  focus: (id: string | undefined) => void;
  children: (row: unknown) => ReactNode;
}

const Line = memo(function Line({ row, id, focus, children, index, length, start, measure }: LineProps) {
  const place = useMemo(() => ({ index, length, start, measure, onFocus: () => focus(id(row as never)) }), [index, length, start, measure, row]);
  // A row that moves, since one above it is higher than was thought, is not made again.
  const content = useMemo(() => children(row), [children, row]);
  return <PlaceContext value={place}>{content}</PlaceContext>;
});

/** The entry of the history that is shown; the same one after going back to it. */
function placeInHistory(): string {
  const state = window.history.state as { __TSR_key?: string } | null;
  return state?.__TSR_key ?? window.location.href;
}
