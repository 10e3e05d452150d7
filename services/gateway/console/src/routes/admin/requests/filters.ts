import type { AccessRequest } from "@/api/client";
import { endedRequest, requestTones } from "@/api/states";

type State = NonNullable<AccessRequest["state"]>;

/** What is looked at. */
export const views = { open: "REQUEST_VIEW_OPEN", closed: "REQUEST_VIEW_CLOSED", action: "REQUEST_VIEW_ACTION_REQUIRED", all: "REQUEST_VIEW_UNSPECIFIED" } as const;

/** What stands in the address. */
export interface RequestFilters {
  view?: keyof typeof views;
  state?: State;
  app?: string;
  person?: string;
  q?: string;
}

const states = (Object.keys(requestTones) as State[]).filter((s) => s !== "REQUEST_STATE_UNSPECIFIED");

export function isState(value: unknown): value is State {
  return states.some((s) => s === value);
}

/** The states that requests of a view are in, and what they are called. */
export function shownStates(view: keyof typeof views, name: (state: State) => string): Record<State, string> {
  const shown = states.filter((s) => view === "all" || view === "action" || endedRequest.includes(s) === (view === "closed"));
  return Object.fromEntries(shown.map((s) => [s, name(s)])) as Record<State, string>;
}
