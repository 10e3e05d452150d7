import { ComboBox } from "react-aria-components";
import { FoundList } from "./FoundList";

interface Props {
  label: string;
  hint?: string;
  error?: string;
  value: string;
  onChange: (value: string) => void;
  /** What is suggested; anything else may be written. */
  of: readonly string[];
}

/** A text, for which those that are in use are suggested. */
export function Suggested({ value, onChange, of, ...props }: Props) {
  const words = value.trim().toLowerCase();
  const items = of.filter((text) => text.toLowerCase().includes(words)).map((text) => ({ id: text, name: text }));
  return (
    <ComboBox
      className="field"
      items={items}
      inputValue={value}
      onInputChange={onChange}
      onSelectionChange={(key) => key !== null && onChange(String(key))}
      allowsCustomValue
      validationBehavior="aria"
      isInvalid={props.error !== undefined}
      menuTrigger="focus"
    >
      <FoundList {...props} />
    </ComboBox>
  );
}
