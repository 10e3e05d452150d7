import { useEffect, useRef, useState } from "react";
import { Input, Label, SearchField } from "react-aria-components";

interface Props {
  label: string;
  placeholder?: string;
  value: string | undefined;
  /** Told a moment after the last key. */
  onChange: (words: string | undefined) => void;
}

/** Words to search for, which stand in the address. */
export function SearchBox({ label, placeholder, value = "", onChange }: Props) {
  const [words, setWords] = useState(value);
  const told = useRef(value);
  useEffect(() => {
    // Changed elsewhere, such as by a link that shows everything.
    if (value !== told.current) {
      told.current = value;
      setWords(value);
    }
  }, [value]);
  useEffect(() => {
    const timer = setTimeout(() => {
      if (words === value) return;
      told.current = words;
      onChange(words || undefined);
    }, 200);
    return () => clearTimeout(timer);
  }, [words, value, onChange]);
  return (
    <SearchField className="field" value={words} onChange={setWords}>
      <Label>{label}</Label>
      <Input placeholder={placeholder} />
    </SearchField>
  );
}
