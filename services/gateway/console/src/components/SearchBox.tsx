import { useCallback, useEffect, useRef, useState } from "react";
import { Input, Label, SearchField } from "react-aria-components";

interface Props {
  label: string;
  placeholder?: string;
  value: string | undefined;
  /** Told when the typing pauses, unless the viewer is on the way to another page by then. */
  onChange: (words: string | undefined) => void;
}

/** Words to look for. */
export function SearchBox({ label, placeholder, value = "", onChange }: Props) {
  const [words, setWords] = useState(value);
  const told = useRef(onChange);
  useEffect(() => {
    told.current = onChange;
  });
  // What comes back of what was told is not taken for a change: somebody may have typed on.
  const last = useRef(value);
  useEffect(() => {
    if (value !== last.current) setWords(value);
    last.current = value;
  }, [value]);
  const here = useRef(globalThis.location.pathname);
  const tellNow = useCallback(() => {
    if (words === last.current || globalThis.location.pathname !== here.current) return;
    last.current = words;
    told.current(words || undefined);
  }, [words]);
  useEffect(() => {
    const timer = setTimeout(tellNow, 250);
    return () => clearTimeout(timer);
  }, [tellNow]);
  return (
    <SearchField className="field" value={words} onChange={setWords} onSubmit={tellNow}>
      <Label>{label}</Label>
      <Input placeholder={placeholder} />
    </SearchField>
  );
}
