import { GripVertical } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import type { FlowStep } from "@/api/client";
import { Button } from "@/components/Button";
import { CheckField } from "@/components/CheckField";
import { Choice } from "@/components/Choice";
import { ChosenPeople } from "@/components/Chosen";
import { Select } from "@/components/Select";
import { TextBox } from "@/components/TextBox";
import { Groups } from "./AudienceForm";
import { DurationBox } from "./DurationBox";
import { StepTimes } from "./StepTimes";
import type { FlowValues } from "./values";

interface Props {
  values: FlowValues;
  onChange: (values: FlowValues) => void;
  errors: Partial<Record<string, string>>;
}

const kinds = ["REVIEWER_KIND_MANAGER", "REVIEWER_KIND_MANAGERS_MANAGER", "REVIEWER_KIND_APP_OWNER", "REVIEWER_KIND_APP_APPROVERS", "REVIEWER_KIND_APP_ADMINS", "REVIEWER_KIND_USERS", "REVIEWER_KIND_GROUPS"] as const;
const needs = ["STEP_NEED_ANY", "STEP_NEED_ALL", "STEP_NEED_COUNT"] as const;

/** Who must approve, step by step. */
export function StepsForm({ values, onChange, errors }: Props) {
  const { t } = useTranslation();
  const steps = values.steps;
  const [dragged, setDragged] = useState<number>();
  const move = (from: number, to: number) => {
    const step = steps[from];
    if (step) onChange({ ...values, steps: steps.toSpliced(from, 1).toSpliced(to, 0, step) });
  };
  const setStep = (i: number, change: Partial<FlowStep>) => onChange({ ...values, steps: steps.with(i, { ...steps[i], ...change } as FlowStep) });
  return (
    <section className="card" aria-labelledby="steps">
      <h2 id="steps">{t("admin.flows.steps")}</h2>
      <Choice
        label={t("admin.flows.steps")}
        value={values.autoApprove ? "itself" : "people"}
        onChange={(how) => onChange({ ...values, autoApprove: how === "itself" })}
        choices={{ people: t("admin.flows.byPeople"), itself: t("admin.flows.byItself") }}
      />
      {errors.steps && <span className="note" data-tone="bad" role="alert">{errors.steps}</span>}
      {!values.autoApprove &&
        steps.map((step, i) => (
          <fieldset
            key={i}
            className="card"
            data-dragged={dragged === i || undefined}
            onDragOver={(e) => {
              if (dragged !== undefined) e.preventDefault();
            }}
            onDrop={(e) => {
              e.preventDefault();
              if (dragged !== undefined && dragged !== i) move(dragged, i);
              setDragged(undefined);
            }}
          >
            <legend>
              {/* For the mouse; the buttons below do the same. */}
              <span className="handle" draggable onDragStart={(e) => { e.dataTransfer.effectAllowed = "move"; setDragged(i); }} onDragEnd={() => setDragged(undefined)} aria-hidden>
                <GripVertical size={16} />
              </span>
              {t("admin.flows.step", { n: i + 1 })}
            </legend>
            <TextBox label={t("admin.flows.stepName")} value={step.name ?? ""} onChange={(name) => setStep(i, { name })} isRequired error={errors[`steps[${i}].name`]} />
            <Select
              label={t("admin.flows.who")}
              error={errors[`steps[${i}].reviewers`]}
              value={step.reviewers ?? "REVIEWER_KIND_MANAGER"}
              onChange={(reviewers) => setStep(i, { reviewers })}
              choices={Object.fromEntries(kinds.map((k) => [k, t(`admin.flows.reviewers.${k}`)])) as Record<NonNullable<FlowStep["reviewers"]>, string>}
            />
            {step.reviewers === "REVIEWER_KIND_USERS" && (
              <ChosenPeople label={t("admin.flows.people")} ids={step.userIds ?? []} onChange={(userIds) => setStep(i, { userIds })} error={errors[`steps[${i}].userIds`]} />
            )}
            {step.reviewers === "REVIEWER_KIND_GROUPS" && <Groups ids={step.groupIds ?? []} onChange={(groupIds) => setStep(i, { groupIds })} error={errors[`steps[${i}].groupIds`]} />}
            <Select
              label={t("admin.flows.need")}
              value={step.need ?? "STEP_NEED_ANY"}
              onChange={(need) => setStep(i, { need })}
              choices={Object.fromEntries(needs.map((k) => [k, t(`admin.flows.needs.${k}`, { n: "N" })])) as Record<NonNullable<FlowStep["need"]>, string>}
            />
            {step.need === "STEP_NEED_COUNT" && (
              <TextBox
                label={t("admin.flows.needCount")}
                type="number"
                value={String(step.needCount ?? 0)}
                onChange={(n) => setStep(i, { needCount: Math.trunc(Number(n)) || 0 })}
                error={errors[`steps[${i}].needCount`]}
              />
            )}
            <StepTimes step={step} onChange={(change) => setStep(i, change)} errors={{ remindAfter: errors[`steps[${i}].remindAfter`], escalateAfter: errors[`steps[${i}].escalateAfter`] }} />
            <div className="row">
              <Button isDisabled={i === 0} aria-label={t("moveUp", { name: t("admin.flows.step", { n: i + 1 }) })} onPress={() => move(i, i - 1)}>
                {t("admin.flows.up")}
              </Button>
              <Button isDisabled={i === steps.length - 1} aria-label={t("admin.flows.moveDown", { name: t("admin.flows.step", { n: i + 1 }) })} onPress={() => move(i, i + 1)}>
                {t("admin.flows.down")}
              </Button>
              <Button aria-label={t("ask.removeApp", { name: t("admin.flows.step", { n: i + 1 }) })} onPress={() => onChange({ ...values, steps: steps.toSpliced(i, 1) })}>
                {t("ask.remove")}
              </Button>
            </div>
          </fieldset>
        ))}
      {!values.autoApprove && (
        <div className="stack tight">
          <DurationBox label={t("admin.flows.decideWithin")} hint={t("admin.flows.decideWithinHint")} unit="days" value={values.decideWithin} onChange={(decideWithin) => onChange({ ...values, decideWithin })} error={errors.decideWithin} />
          <CheckField label={t("admin.flows.distinct")} hint={t("admin.flows.distinctHint")} value={values.distinctReviewers} onChange={(distinctReviewers) => onChange({ ...values, distinctReviewers })} />
          <div>
            <Button onPress={() => onChange({ ...values, steps: [...steps, { name: "", reviewers: "REVIEWER_KIND_APP_APPROVERS", need: "STEP_NEED_ANY", userIds: [], groupIds: [], needCount: 0 }] })}>
            {t("admin.flows.addStep")}
          </Button>
          </div>
        </div>
      )}
    </section>
  );
}
