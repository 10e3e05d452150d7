import { useRef } from "react";

/**
 * Ids for words that are sent: the same for the same words, which an answer that was lost may have been
 * for, and another for other words, which the API would refuse under that id.
 */
export function useOnce() {
  const last = useRef<{ words: string; id: string }>(undefined);
  return {
    idFor(words: string): string {
      if (last.current?.words !== words) last.current = { words, id: crypto.randomUUID() };
      return last.current.id;
    },
    /** It was sent: the same words are said anew from now on. */
    sent() {
      last.current = undefined;
    },
  };
}
