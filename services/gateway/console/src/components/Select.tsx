import { ChevronDown } from "lucide-react";
import { Button, FieldError, Label, ListBox, ListBoxItem, Popover, Select as AriaSelect, SelectValue, Text } from "react-aria-components";

interface Props<K extends string> {
  label: string;
  hint?: string;
  /** What the API says is wrong with it. */
  error?: string;
  value: K | undefined;
  onChange: (value: K | undefined) => void;
  /** What can be chosen, and what it is called, in this order. */
  choices: readonly (readonly [K, string])[];
  /** What it is called to choose none; without it one must be chosen. */
  none?: string;
}

const nothing = "-";

/** One of many. */
export function Select<K extends string>({ value, onChange, choices, ...props }: Omit<Props<K>, "value" | "onChange" | "choices" | "none"> & { value: K; onChange: (value: K) => void; choices: Record<K, string> }) {
  const list = (Object.keys(choices) as K[]).map((key) => [key, choices[key]] as const);
  return <SelectOrNone {...props} value={value} onChange={(key) => key !== undefined && onChange(key)} choices={list} />;
}

/** One of many, or none. */
export function SelectOrNone<K extends string>({ label, hint, error, value, onChange, choices, none }: Props<K>) {
  return (
    <AriaSelect
      className="field"
      value={value ?? (none === undefined ? null : nothing)}
      onChange={(key) => onChange(choices.find(([k]) => k === key)?.[0])}
      validationBehavior="aria"
      isInvalid={error !== undefined}
      placeholder="–"
    >
      <Label>{label}</Label>
      <Button className="button select">
        <SelectValue />
        <ChevronDown size={16} aria-hidden />
      </Button>
      {hint && (
        <Text slot="description" className="hint">
          {hint}
        </Text>
      )}
      <FieldError className="error">{error}</FieldError>
      <Popover className="popover">
        <ListBox className="menu">
          {none !== undefined && <ListBoxItem id={nothing}>{none}</ListBoxItem>}
          {choices.map(([key, name]) => (
            <ListBoxItem key={key} id={key}>
              {name}
            </ListBoxItem>
          ))}
        </ListBox>
      </Popover>
    </AriaSelect>
  );
}
