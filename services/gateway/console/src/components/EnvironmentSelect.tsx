import { useTranslation } from "react-i18next";
import { ofOrganization, useEnvironments } from "@/api/environments";
import { SelectOrNone } from "./Select";

/** Whose a list shows: everything, what belongs to the organization itself, or to one environment. Shown where there is something to choose. */
export function EnvironmentSelect({ value, onChange }: { value: string | undefined; onChange: (environment: string | undefined) => void }) {
  const { t } = useTranslation();
  const environments = useEnvironments();
  if (environments.length === 0 && value === undefined) return null;
  return (
    <SelectOrNone
      label={t("admin.people.environment")}
      value={value}
      onChange={onChange}
      none={t("admin.people.every")}
      choices={[[ofOrganization, t("admin.apps.ofOrganization")], ...environments.map((e) => [e.id ?? "", e.name ?? ""] as const)]}
    />
  );
}
