import { Checkbox } from "react-aria-components";

interface Props {
  label: string;
  /** What it does, in a sentence. */
  hint?: string;
  value: boolean;
  onChange: (value: boolean) => void;
  /** What the API says is wrong with it. */
  error?: string;
}

/** Yes or no. */
export function CheckField({ label, hint, value, onChange, error }: Props) {
  return (
    <div className="field">
      <Checkbox className="choice" isSelected={value} onChange={onChange} validationBehavior="aria" isInvalid={error !== undefined}>
        <span className="mark" aria-hidden />
        {hint ? (
          <span className="what">
            <strong>{label}</strong>
            <br />
            <span className="quiet small">{hint}</span>
          </span>
        ) : (
          <span>{label}</span>
        )}
      </Checkbox>
      {error && <span className="error">{error}</span>}
    </div>
  );
}
