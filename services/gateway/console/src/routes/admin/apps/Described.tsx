import { FieldError, Label, Radio, RadioGroup } from "react-aria-components";

interface Props<K extends string> {
  label: string;
  value: string;
  onChange: (value: K) => void;
  error?: string;
  choices: readonly K[];
  name: (choice: K) => string;
  means: (choice: K) => string;
}

/** One of a few, with what each means. */
export function Described<K extends string>({ label, value, onChange, error, choices, name, means }: Props<K>) {
  return (
    <RadioGroup className="field" value={value} onChange={(v) => onChange(v as K)} validationBehavior="aria" isInvalid={error !== undefined}>
      <Label>{label}</Label>
      <div className="choices">
        {choices.map((choice) => (
          <Radio key={choice} value={choice} className="choice">
            <span className="mark round" aria-hidden />
            <span className="what">
              <strong>{name(choice)}</strong>
              <br />
              <span className="quiet small">{means(choice)}</span>
            </span>
          </Radio>
        ))}
      </div>
      <FieldError className="error">{error}</FieldError>
    </RadioGroup>
  );
}
