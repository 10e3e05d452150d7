import { useState } from "react";
import { TextBox } from "@/components/TextBox";
import { durationOf, lengthOf } from "./values";

interface Props {
  label: string;
  hint?: string;
  error?: string;
  unit: "days" | "hours";
  /** A duration of the API; empty for none. */
  value: string;
  onChange: (value: string) => void;
}

/** A length of time in days or hours, written as people write it. */
export function DurationBox({ value, unit, onChange, ...props }: Props) {
  const [typed, setTyped] = useState("");
  // What is typed stays as it is for as long as it is the value, such as "1." on the way to "1.5".
  const text = durationOf(typed, unit) === value ? typed : lengthOf(value, unit);
  return (
    <TextBox
      {...props}
      inputMode="decimal"
      value={text}
      onChange={(next) => {
        setTyped(next);
        onChange(durationOf(next, unit));
      }}
    />
  );
}
