import { Radio, RadioGroup } from "react-aria-components";

interface Props<K extends string> {
  label: string;
  value: K;
  onChange: (value: K) => void;
  /** What can be chosen, and what it is called. */
  choices: Record<K, string>;
}

/** One of a few. */
export function Choice<K extends string>({ label, value, onChange, choices }: Props<K>) {
  return (
    <RadioGroup className="row" aria-label={label} value={value} onChange={(v) => onChange(v as K)}>
      {(Object.keys(choices) as K[]).map((key) => (
        <Radio key={key} value={key} className="choice">
          <span className="mark round" aria-hidden />
          {choices[key]}
        </Radio>
      ))}
    </RadioGroup>
  );
}
