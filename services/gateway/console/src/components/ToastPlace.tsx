import { useRef, useState } from "react";
import { Text, UNSTABLE_Toast as Toast, UNSTABLE_ToastContent as ToastContent, UNSTABLE_ToastQueue as ToastQueue, UNSTABLE_ToastRegion as ToastRegion } from "react-aria-components";
import { useTranslation } from "react-i18next";
import { Problem } from "@/api/problem";
import { Button } from "./Button";
import { ProblemNote } from "./ProblemNote";
import type { Undo } from "./Toasts";

interface Told {
  text: string;
  undo?: Undo;
}

const queue = new ToastQueue<Told>({ maxVisibleToasts: 3 });
let undoable = "";

/** Shows it: for some seconds, in which nothing can be missed but the words, or with a way to undo for as long as somebody takes (WCAG 2.2.1). */
export function show(text: string, undo?: Undo): void {
  if (!undo) {
    queue.add({ text }, { timeout: 6_000 });
    return;
  }
  queue.close(undoable);
  undoable = queue.add({ text, undo });
}

/** Shows nothing any more. */
export function clear(): void {
  queue.clear();
}

/** Where toasts are shown. F6 leads there. */
export function ToastPlace() {
  const { t } = useTranslation();
  return (
    <ToastRegion queue={queue} className="toasts" aria-label={t("notices")}>
      {({ toast }) => (
        <Toast toast={toast} className="toast">
          <ToastContent>
            <Text slot="title">{toast.content.text}</Text>
          </ToastContent>
          {toast.content.undo && <Undoing undo={toast.content.undo} close={() => queue.close(toast.key)} />}
          <Button slot="close">{t("close")}</Button>
        </Toast>
      )}
    </ToastRegion>
  );
}

function Undoing({ undo, close }: { undo: Undo; close: () => void }) {
  const [error, setError] = useState<unknown>();
  const [busy, setBusy] = useState(false);
  const button = useRef<HTMLButtonElement>(null);
  // What the API refuses for good is not tried again.
  const again = error === undefined || (error instanceof Problem && (error.mayPass || error.wantsSignIn));
  const act = async () => {
    setBusy(true);
    try {
      const text = await undo.act();
      close();
      // The focus goes back to where it was before, and only then the next notice comes.
      setTimeout(() => {
        // What had it may be gone with what was done.
        if (document.activeElement === document.body) document.getElementById("main")?.focus({ preventScroll: true });
        show(text);
      });
    } catch (e) {
      // The button may go: what it stood in keeps the focus.
      if (document.activeElement === button.current) button.current?.closest<HTMLElement>("[role=alertdialog]")?.focus();
      setError(e);
      setBusy(false);
    }
  };
  return (
    <>
      {error !== undefined && <ProblemNote error={error} />}
      {again && (
        <Button ref={button} isPending={busy} onPress={() => void act()}>
          {undo.label}
        </Button>
      )}
    </>
  );
}
