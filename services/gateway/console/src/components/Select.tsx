import { ChevronDown } from "lucide-react";
import { FieldError, Label, ListBox, ListBoxItem, Popover, Select as AriaSelect, SelectValue, Text } from "react-aria-components";
import { Button } from "./Button";

interface Props<K extends string> {
  label: string;
  hint?: string;
  /** What the API says is wrong with it. */
  error?: string;
  value: K;
  onChange: (value: K) => void;
  /** What can be chosen, and what it is called. */
  choices: Record<K, string>;
}

/** One of many. */
export function Select<K extends string>({ label, hint, error, value, onChange, choices }: Props<K>) {
  const items = (Object.keys(choices) as K[]).map((id) => ({ id, name: choices[id] }));
  return (
    <AriaSelect className="field" value={value} onChange={(key) => key !== null && onChange(key as K)} validationBehavior="aria" isInvalid={error !== undefined}>
      <Label>{label}</Label>
      <Button>
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
        <ListBox className="menu" items={items}>
          {(item) => (
            <ListBoxItem id={item.id} textValue={item.name}>
              {item.name}
            </ListBoxItem>
          )}
        </ListBox>
      </Popover>
    </AriaSelect>
  );
}
