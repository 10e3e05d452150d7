import { useTranslation } from "react-i18next";
import type { Flow } from "@/api/client";
import { CheckField } from "@/components/CheckField";
import { Choice } from "@/components/Choice";
import { ChosenPeople } from "@/components/Chosen";
import { Groups } from "./AudienceForm";
import { requesterKinds } from "./words";

interface Props {
  /** Undefined: who may ask without a flow. */
  value: Flow["requesters"];
  onChange: (value: Flow["requesters"]) => void;
  errors: Partial<Record<string, string>>;
}

/** What is chosen first: who may ask without a flow. */
const usual = { beneficiary: true, managers: true, appAdmins: true, admins: true, everyone: false, groupIds: [], userIds: [] };

/** Who may ask by a flow. */
export function RequestersForm({ value, onChange, errors }: Props) {
  const { t } = useTranslation();
  return (
    <section className="card" aria-labelledby="requesters">
      <h2 id="requesters">{t("admin.flows.requesters")}</h2>
      <Choice
        label={t("admin.flows.requesters")}
        value={value ? "some" : "usual"}
        onChange={(who) => onChange(who === "some" ? usual : undefined)}
        choices={{ usual: t("admin.flows.usualRequesters"), some: t("admin.flows.someRequesters") }}
      />
      {errors.requesters && <p className="error">{errors.requesters}</p>}
      {value && (
        <>
          {requesterKinds.map((who) => (
            <CheckField key={who} label={t(`admin.flows.requesterKinds.${who}`)} value={value[who] ?? false} onChange={(on) => onChange({ ...value, [who]: on })} />
          ))}
          {!value.everyone && (
            <>
              <Groups ids={value.groupIds ?? []} onChange={(groupIds) => onChange({ ...value, groupIds })} error={errors["requesters.groupIds"]} />
              <ChosenPeople label={t("admin.flows.people")} ids={value.userIds ?? []} onChange={(userIds) => onChange({ ...value, userIds })} error={errors["requesters.userIds"]} />
            </>
          )}
        </>
      )}
    </section>
  );
}
