import { useSyncExternalStore } from "react";
import { later } from "./later";

const ToastPlace = later(() => import("./ToastPlace").then((m) => m.ToastPlace));

/** What takes back what was done. */
export interface Undo {
  /** Of its button: what comes back. */
  label: string;
  /** Does it, and answers with what is told then. What goes wrong stands in the notice. */
  act: () => Promise<string>;
}

let told = false;
const waiting = new Set<() => void>();

/**
 * Tells that something was done. What went wrong stands where it was done instead. What can be undone is
 * told until somebody closes it, or until something else can be.
 */
export function tell(text: string, undo?: Undo): void {
  told = true;
  for (const look of waiting) look();
  void import("./ToastPlace").then((m) => m.show(text, undo));
}

/** Forgets what is told: it is not for who comes next. */
export function forgetTold(): void {
  if (told) void import("./ToastPlace").then((m) => m.clear());
}

/** Shows what is told, from the first time on. */
export function Toasts() {
  const needed = useSyncExternalStore(
    (look) => {
      waiting.add(look);
      return () => waiting.delete(look);
    },
    () => told,
  );
  return needed ? <ToastPlace /> : null;
}
