import { FieldError, Input, Label, ListBox, ListBoxItem, Popover, Text } from "react-aria-components";

/** Something that was found. */
export interface Found {
  id: string;
  name: string;
  /** What tells it from others of the name. */
  more?: string;
}

/** What stands in a ComboBox by which something is found: the words, and below them what was found. */
export function FoundList({ label, hint, error }: { label: string; hint?: string; error?: string }) {
  return (
    <>
      <Label>{label}</Label>
      <Input />
      {hint && (
        <Text slot="description" className="hint">
          {hint}
        </Text>
      )}
      <FieldError className="error">{error}</FieldError>
      <Popover className="popover">
        <ListBox<Found> className="menu">
          {(found) => (
            <ListBoxItem id={found.id} textValue={found.name}>
              <span>{found.name}</span>
              {found.more && <span className="quiet small">{found.more}</span>}
            </ListBoxItem>
          )}
        </ListBox>
      </Popover>
    </>
  );
}
