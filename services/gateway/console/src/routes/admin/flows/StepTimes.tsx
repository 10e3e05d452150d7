import { useTranslation } from "react-i18next";
import type { FlowStep } from "@/api/client";
import { DurationBox } from "./DurationBox";

interface Props {
  step: FlowStep;
  onChange: (change: Pick<FlowStep, "remindAfter" | "escalateAfter">) => void;
  errors: { remindAfter?: string; escalateAfter?: string };
}

/** After how many working hours who has not decided is reminded, and more people are asked. */
export function StepTimes({ step, onChange, errors }: Props) {
  const { t } = useTranslation();
  return (
    <div className="fields">
      {(["remindAfter", "escalateAfter"] as const).map((name) => (
        <DurationBox
          key={name}
          label={t(`admin.flows.${name}`)}
          hint={t(`admin.flows.${name}Hint`)}
          unit="hours"
          value={step[name] ?? ""}
          onChange={(length) => onChange({ [name]: length || undefined })}
          error={errors[name]}
        />
      ))}
    </div>
  );
}
