import { useEffect } from "react";
import { useQueryClient, type Query, type QueryClient } from "@tanstack/react-query";

/** How long what is shown may be old: while the gateway tells what has changed, and while it does not. */
const checkEvery = { told: 60_000, untold: 5_000 };

/** After how long a stream is tried again that the browser has given up. */
const tryAgain = 10_000;

/** The collection of the API that a query shows, such as "requests" of /v1/requests/{id}/comments; nothing if it is no call. */
export function collectionOf(query: Pick<Query, "queryKey">): string | undefined {
  const [method, path] = query.queryKey;
  if (method !== "get" || typeof path !== "string") return undefined;
  return path.split("/")[2]?.split(":")[0];
}

/** The collections that a query shows something of: a search of the catalog also shows what one has and has asked for, what helps to decide what people have. */
function shownBy(query: Pick<Query, "queryKey">): string[] {
  const one = collectionOf(query);
  return one === "catalog" || String(query.queryKey[1]).endsWith("/decisionContext") ? ["apps", "grants", "requests"] : one === undefined ? [] : [one];
}

/**
 * Has what a page shows asked for again when it may have changed: the gateway says which
 * collections. What happened while there was no stream is made up for as soon as there is one.
 */
export class Live {
  #source: EventSource | undefined;
  #timers: ReturnType<typeof setTimeout>[] = [];

  constructor(
    private readonly queries: QueryClient,
    private readonly open: () => EventSource = () => new EventSource("/live"),
  ) {}

  start() {
    this.stop();
    const source = this.open();
    this.#source = source;
    this.#check(checkEvery.untold);
    source.addEventListener("ready", () => {
      const since = Date.now();
      void this.queries.invalidateQueries({ predicate: (q) => collectionOf(q) !== undefined && q.state.dataUpdatedAt > 0 && q.state.dataUpdatedAt < since });
      this.#check(checkEvery.told);
    });
    source.addEventListener("changed", (e: MessageEvent<string>) => {
      const { collections } = JSON.parse(e.data) as { collections: string[] };
      void this.queries.invalidateQueries({ predicate: (q) => shownBy(q).some((one) => collections.includes(one)) });
    });
    source.addEventListener("signed-out", () => this.#whoIsIt());
    source.addEventListener("error", () => {
      this.#check(checkEvery.untold);
      if (source.readyState !== EventSource.CLOSED) return; // the browser tries again
      this.#whoIsIt();
      this.#timers.push(setTimeout(() => this.start(), tryAgain));
    });
  }

  stop() {
    this.#source?.close();
    this.#source = undefined;
    for (const t of this.#timers) clearTimeout(t);
    this.#timers = [];
  }

  /** Whoever is nobody any more is led to the page to sign in by this. */
  #whoIsIt() {
    void this.queries.invalidateQueries({ predicate: (q) => collectionOf(q) === "me" });
  }

  #check(every: number) {
    for (const t of this.#timers) clearTimeout(t);
    this.#timers = [
      setInterval(() => {
        void this.queries.invalidateQueries({ predicate: (q) => collectionOf(q) !== undefined });
      }, every),
    ];
  }
}

/** Keeps what the pages show up to date, for as long as somebody looks who is signed in. */
export function useLive(signedIn: boolean) {
  const queries = useQueryClient();
  useEffect(() => {
    if (!signedIn) return;
    const live = new Live(queries);
    // A browser has few connections to one host: a page that nobody sees takes none.
    const look = () => (document.visibilityState === "visible" ? live.start() : live.stop());
    look();
    document.addEventListener("visibilitychange", look);
    return () => {
      document.removeEventListener("visibilitychange", look);
      live.stop();
    };
  }, [queries, signedIn]);
}
