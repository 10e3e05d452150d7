import { useSyncExternalStore } from "react";
import { later } from "./later";

const ToastPlace = later(() => import("./ToastPlace").then((m) => m.ToastPlace));

let told = false;
const waiting = new Set<() => void>();

/** Tells that something was done. What went wrong stands where it was done instead. */
export function tell(text: string): void {
  told = true;
  for (const look of waiting) look();
  void import("./ToastPlace").then((m) => m.show(text));
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
