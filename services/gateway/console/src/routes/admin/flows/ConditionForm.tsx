import { useRef } from "react";
import { useTranslation } from "react-i18next";
import { Button } from "@/components/Button";
import { TextBox } from "@/components/TextBox";
import { completions } from "./conditions";

interface Props {
  join: boolean;
  value: string;
  onChange: (value: string) => void;
  error?: string;
}

/** What must hold besides, in CEL, with the names that can come next. */
export function ConditionForm({ join, value, onChange, error }: Props) {
  const { t } = useTranslation();
  const box = useRef<HTMLDivElement>(null);
  const next = completions(value, join);
  return (
    <section className="card" aria-labelledby="condition" ref={box}>
      <h2 id="condition">{t("admin.flows.condition")}</h2>
      <TextBox label={t("admin.flows.conditionLabel")} hint={t("admin.flows.conditionHint")} lines value={value} onChange={onChange} error={error} placeholder={'beneficiary.department == "Sales"'} />
      <div className="row" role="group" aria-label={t("admin.flows.conditionNames")}>
        {next.map(({ name, whole }) => (
          <Button
            key={name}
            kind="plain"
            onPress={() => {
              onChange(whole);
              box.current?.querySelector("textarea")?.focus();
            }}
          >
            <code>{name}</code>
          </Button>
        ))}
      </div>
    </section>
  );
}
