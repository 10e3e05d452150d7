import { useEffect, useRef, useState } from "react";
import { Input, Label, SearchField } from "react-aria-components";

interface Props {
  label: string;
  placeholder?: string;
  value: string | undefined;
  /** Told when the typing pauses. */
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
  useEffect(() => {
    const timer = setTimeout(() => {
      if (words === last.current) return;
      last.current = words;
      told.current(words || undefined);
    }, 250);
    return () => clearTimeout(timer);
  }, [words]);
  return (
    <SearchField className="field" value={words} onChange={setWords}>
      <Label>{label}</Label>
      <Input placeholder={placeholder} />
    </SearchField>
  );
}
