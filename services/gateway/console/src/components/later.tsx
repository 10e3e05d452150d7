import { type ComponentType, useEffect, useState } from "react";
import { Problem } from "@/api/problem";
import { ProblemNote } from "./ProblemNote";

/** A component whose code is loaded when it is first shown, or ahead of that. */
export interface Later<P> extends ComponentLater<P> {
  /** Loads the code, so that it is there when the component is shown. */
  ahead: () => Promise<void>;
}
type ComponentLater<P> = (props: P) => React.ReactNode;

/**
 * Makes a component of code that the first page does not need. Code that is there is shown at once;
 * what is still on its way shows nothing, and what did not come says so, with a way to try again.
 */
export function later<P extends object>(load: () => Promise<ComponentType<P>>): Later<P> {
  let Loaded: ComponentType<P> | undefined;
  let loading: Promise<void> | undefined;
  const ahead = () =>
    (loading ??= load().then(
      (component) => {
        Loaded = component;
      },
      (error: unknown) => {
        loading = undefined;
        throw error;
      },
    ));
  function Later(props: P) {
    const [, seen] = useState(Loaded !== undefined);
    const [failed, fail] = useState(false);
    useEffect(() => {
      if (Loaded || failed) return;
      let shown = true;
      ahead().then(
        () => shown && seen(true),
        () => shown && fail(true),
      );
      return () => {
        shown = false;
      };
    }, [failed]);
    if (failed) return <ProblemNote error={Problem.noAnswer()} again={() => fail(false)} />;
    return Loaded ? <Loaded {...props} /> : null;
  }
  // A load ahead that fails is tried again when the component is shown.
  return Object.assign(Later, { ahead: () => ahead().catch(() => {}) });
}
