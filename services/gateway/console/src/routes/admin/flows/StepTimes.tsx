import { useTranslation } from "react-i18next";
import type { FlowStep } from "@/api/client";
import { TextBox } from "@/components/TextBox";
import { durationOf, lengthOf } from "./values";

interface Props {
  step: FlowStep;
  onChange: (change: Pick<FlowStep, "remindAfter" | "escalateAfter">) => void;
}

/** After how many working hours who has not decided is reminded, and more people are asked. */
export function StepTimes({ step, onChange }: Props) {
  const { t } = useTranslation();
  const hours = (length: string) => durationOf(length, "hours") || undefined;
  return (
    <div className="fields">
      <TextBox
        label={t("admin.flows.remindAfter")}
        hint={t("admin.flows.remindAfterHint")}
        inputMode="decimal"
        value={lengthOf(step.remindAfter ?? "", "hours")}
        onChange={(length) => onChange({ remindAfter: hours(length) })}
      />
      <TextBox
        label={t("admin.flows.escalateAfter")}
        hint={t("admin.flows.escalateAfterHint")}
        inputMode="decimal"
        value={lengthOf(step.escalateAfter ?? "", "hours")}
        onChange={(length) => onChange({ escalateAfter: hours(length) })}
      />
    </div>
  );
}
