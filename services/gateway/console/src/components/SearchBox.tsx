import { useEffect, useState } from "react";
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
  useEffect(() => {
    const timer = setTimeout(() => {
      if (words !== value) onChange(words || undefined);
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
