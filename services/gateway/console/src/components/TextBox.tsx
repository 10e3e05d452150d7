import { FieldError, Input, Label, Text, TextArea, TextField, type TextFieldProps } from "react-aria-components";

interface Props extends TextFieldProps {
  label: string;
  hint?: string;
  /** What the API says is wrong with it. */
  error?: string;
  /** For more than one line. */
  lines?: boolean;
  placeholder?: string;
}

export function TextBox({ label, hint, error, lines, placeholder, ...props }: Props) {
  return (
    <TextField {...props} className="field" validationBehavior="aria" isInvalid={error !== undefined} maxLength={4000}>
      <Label>{label}</Label>
      {lines ? <TextArea placeholder={placeholder} /> : <Input placeholder={placeholder} />}
      {hint && (
        <Text slot="description" className="hint">
          {hint}
        </Text>
      )}
      <FieldError className="error">{error}</FieldError>
    </TextField>
  );
}
