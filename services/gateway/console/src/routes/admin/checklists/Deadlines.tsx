import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { api, client, type ChecklistSettings } from "@/api/client";
import { useIsOrganizationAdmin } from "@/api/me";
import { durationOf, inWords, type Period, periodOf, type Unit, units } from "@/api/period";
import { Button } from "@/components/Button";
import { Confirm } from "@/components/Confirm";
import { ProblemNote } from "@/components/ProblemNote";
import { Select } from "@/components/Select";
import { TextBox } from "@/components/TextBox";
import { tell } from "@/components/Toasts";
import { deadlineMask } from "./deadlines";

/** How long people have for checklists that open from now on; admins of the organization change it. */
export function Deadlines() {
  const { t, i18n } = useTranslation();
  const may = useIsOrganizationAdmin();
  const found = api.useQuery("get", "/v1/checklistSettings", {});
  const settings = found.data?.checklistSettings;
  if (!settings) return found.error ? <ProblemNote error={found.error} again={() => void found.refetch()} /> : null;
  return (
    <div className="row apart">
      <p className="quiet">
        {t("admin.deadlines.now", { onboarding: inWords(settings.onboardingPeriod ?? "", i18n.language), offboarding: inWords(settings.offboardingPeriod ?? "", i18n.language) })}
      </p>
      {may && <Change settings={settings} />}
    </div>
  );
}

function Change({ settings }: { settings: ChecklistSettings }) {
  const { t, i18n } = useTranslation();
  const queries = useQueryClient();
  const [seen, setSeen] = useState(settings);
  const [onboarding, setOnboarding] = useState(periodOf(settings.onboardingPeriod));
  const [offboarding, setOffboarding] = useState(periodOf(settings.offboardingPeriod));
  const values = { onboardingPeriod: durationOf(onboarding), offboardingPeriod: durationOf(offboarding) };
  const updateMask = deadlineMask(seen, values);
  const save = async (body: ChecklistSettings) => (await client.PATCH("/v1/checklistSettings", { params: { query: { updateMask } }, body })).data?.checklistSettings;
  const change = async () => {
    const { onboardingPeriod = "", offboardingPeriod = "" } = seen;
    try {
      const saved = await save({ ...values, etag: seen.etag });
      const undo = async () => {
        await save({ onboardingPeriod, offboardingPeriod, etag: saved?.etag });
        void queries.invalidateQueries();
        return t("admin.undo.done");
      };
      const label = t("admin.undo.deadlines", { onboarding: inWords(onboardingPeriod, i18n.language), offboarding: inWords(offboardingPeriod, i18n.language) });
      tell(t("admin.saved"), { label, act: undo });
    } finally {
      await queries.invalidateQueries();
    }
  };
  return (
    <Confirm
      trigger={<Button>{t("admin.deadlines.change")}</Button>}
      title={t("admin.deadlines.change")}
      fields={["onboardingPeriod", "offboardingPeriod"]}
      prefix="checklistSettings"
      action={t("save")}
      ready={updateMask !== ""}
      onOpen={() => {
        setSeen(settings);
        setOnboarding(periodOf(settings.onboardingPeriod));
        setOffboarding(periodOf(settings.offboardingPeriod));
      }}
      act={change}
    >
      {(errors) => (
        <>
          <p>{t("admin.deadlines.text")}</p>
          <PeriodBox label={t("admin.deadlines.onboarding")} hint={t("admin.deadlines.onboardingHint")} value={onboarding} onChange={setOnboarding} error={errors.onboardingPeriod} />
          <PeriodBox label={t("admin.deadlines.offboarding")} hint={t("admin.deadlines.offboardingHint")} value={offboarding} onChange={setOffboarding} error={errors.offboardingPeriod} />
        </>
      )}
    </Confirm>
  );
}

/** A length of time, with its unit. */
function PeriodBox({ label, hint, value, onChange, error }: { label: string; hint: string; value: Period; onChange: (value: Period) => void; error?: string }) {
  const { t } = useTranslation();
  const choices = Object.fromEntries(units.map((unit) => [unit, t(`admin.deadlines.units.${unit}`)])) as Record<Unit, string>;
  return (
    <div role="group" aria-label={label} className="pair">
      <TextBox label={label} hint={hint} inputMode="decimal" value={value.count} onChange={(count) => onChange({ ...value, count })} error={error} />
      <Select label={t("admin.deadlines.unit")} value={value.unit} onChange={(unit) => onChange({ ...value, unit })} choices={choices} />
    </div>
  );
}
