import { useTranslation } from "react-i18next";
import type { FlowField } from "@/api/client";
import { Button } from "@/components/Button";
import { CheckField } from "@/components/CheckField";
import { Select } from "@/components/Select";
import { TextBox } from "@/components/TextBox";
import { HoursForm } from "./HoursForm";
import type { FlowValues } from "./values";

interface Props {
  values: FlowValues;
  onChange: (values: FlowValues) => void;
  errors: Partial<Record<string, string>>;
}

const kinds = ["FLOW_FIELD_KIND_TEXT", "FLOW_FIELD_KIND_NUMBER", "FLOW_FIELD_KIND_DATE", "FLOW_FIELD_KIND_CHOICE"] as const;

/** What whoever asks must say, and when they may ask. */
export function LimitsForm({ values, onChange, errors }: Props) {
  const { t } = useTranslation();
  const fields = values.fields;
  const setField = (i: number, change: Partial<FlowField>) => onChange({ ...values, fields: fields.with(i, { ...fields[i], ...change } as FlowField) });
  return (
    <section className="card" aria-labelledby="limits">
      <h2 id="limits">{t("admin.flows.limits")}</h2>
      <p className="quiet">{t("admin.flows.limitsText")}</p>
      <TextBox
        label={t("admin.flows.minJustification")}
        type="number"
        value={String(values.minJustificationLength)}
        onChange={(n) => onChange({ ...values, minJustificationLength: Math.trunc(Number(n)) || 0 })}
        error={errors.minJustificationLength}
      />
      {fields.map((field, i) => {
        const name = field.label || t("admin.flows.field", { n: i + 1 });
        return (
          <fieldset key={i} className="card">
            <legend>{t("admin.flows.field", { n: i + 1 })}</legend>
            <TextBox label={t("admin.flows.fieldLabel")} value={field.label ?? ""} onChange={(label) => setField(i, { label })} isRequired error={errors[`fields[${i}].label`]} />
            <TextBox label={t("admin.flows.fieldKey")} hint={t("admin.flows.fieldKeyHint")} value={field.key ?? ""} onChange={(key) => setField(i, { key })} isRequired error={errors[`fields[${i}].key`]} />
            <TextBox label={t("admin.flows.fieldHelp")} value={field.help ?? ""} onChange={(help) => setField(i, { help })} error={errors[`fields[${i}].help`]} />
            <Select
              label={t("admin.flows.fieldKind")}
              value={field.kind ?? "FLOW_FIELD_KIND_TEXT"}
              onChange={(kind) => setField(i, { kind })}
              choices={Object.fromEntries(kinds.map((k) => [k, t(`admin.flows.fieldKinds.${k}`)])) as Record<NonNullable<FlowField["kind"]>, string>}
            />
            {field.kind === "FLOW_FIELD_KIND_CHOICE" && (
              <TextBox
                label={t("admin.flows.fieldOptions")}
                hint={t("admin.flows.fieldOptionsHint")}
                lines
                value={(field.options ?? []).join("\n")}
                onChange={(text) => setField(i, { options: text === "" ? [] : text.split("\n") })}
                error={errors[`fields[${i}].options`]}
              />
            )}
            <CheckField label={t("admin.flows.fieldRequired")} value={field.required ?? false} onChange={(required) => setField(i, { required })} />
            <div>
              <Button aria-label={t("ask.removeApp", { name })} onPress={() => onChange({ ...values, fields: fields.toSpliced(i, 1) })}>
                {t("ask.remove")}
              </Button>
            </div>
          </fieldset>
        );
      })}
      <div>
        <Button onPress={() => onChange({ ...values, fields: [...fields, { key: "", label: "", help: "", kind: "FLOW_FIELD_KIND_TEXT", options: [], required: true }] })}>{t("admin.flows.addField")}</Button>
      </div>
      <HoursForm value={values.weeklyHours} onChange={(weeklyHours) => onChange({ ...values, weeklyHours })} errors={errors} />
    </section>
  );
}
