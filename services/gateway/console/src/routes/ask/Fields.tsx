import { useTranslation } from "react-i18next";
import type { ItemField } from "@/api/client";
import { SelectOrNone } from "@/components/Select";
import { TextBox } from "@/components/TextBox";

interface Props {
  fields: readonly ItemField[];
  values: Record<string, string>;
  onChange: (values: Record<string, string>) => void;
  /** What the API says is wrong, by path. */
  errors: Record<string, string>;
}

/** The path of a field in the API's errors. */
export const fieldPath = (key: string) => `fields["${key}"]`;

/** What the flows that decide ask for. */
export function Fields({ fields, values, onChange, errors }: Props) {
  const { t } = useTranslation();
  return fields.map((field) => {
    const key = field.key ?? "";
    const label = field.required ? (field.label ?? "") : t("ask.optional", { label: field.label });
    const set = (value: string | undefined) => onChange({ ...values, [key]: value ?? "" });
    const error = errors[fieldPath(key)];
    if (field.kind === "choice") {
      return <SelectOrNone key={key} label={label} hint={field.help || undefined} error={error} value={values[key] || undefined} onChange={set} choices={(field.options ?? []).map((o) => [o, o] as const)} none={field.required ? undefined : "–"} />;
    }
    return (
      <TextBox
        key={key}
        label={label}
        hint={field.help || (field.kind === "date" ? t("ask.dateHint") : undefined)}
        inputMode={field.kind === "number" ? "decimal" : undefined}
        isRequired={field.required}
        value={values[key] ?? ""}
        onChange={set}
        error={error}
      />
    );
  });
}

/** Each field once, though several items ask for it. */
export function fieldsOf(items: readonly { limits?: { fields?: ItemField[] } }[] = []): ItemField[] {
  const all = items.flatMap((item) => item.limits?.fields ?? []);
  return all.filter((field, i) => all.findIndex((other) => other.key === field.key) === i).map((field) => ({ ...field, required: all.some((other) => other.key === field.key && other.required) }));
}
