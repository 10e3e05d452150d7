import { useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { client } from "@/api/client";
import { useEnvironments } from "@/api/environments";
import { useWhole } from "@/api/me";
import { Button } from "@/components/Button";
import { Confirm } from "@/components/Confirm";
import { SelectOrNone } from "@/components/Select";
import { tell } from "@/components/Toasts";
import { AppForm } from "./AppForm";
import { appFields, valuesOf } from "./values";

/** Adds an app to the catalog. */
export function NewApp() {
  const { t } = useTranslation();
  const queries = useQueryClient();
  const navigate = useNavigate();
  const whole = useWhole();
  const [values, setValues] = useState(valuesOf());
  const [environmentId, setEnvironment] = useState<string>();
  const environments = useEnvironments();
  return (
    <Confirm
      trigger={<Button kind="main">{t("admin.apps.add")}</Button>}
      title={t("admin.apps.add")}
      fields={[...appFields, "environmentId"]}
      action={t("admin.apps.add")}
      ready={values.name.trim() !== ""}
      onOpen={() => {
        setValues(valuesOf());
        setEnvironment(undefined);
      }}
      act={async (requestId) => {
        // Only what the organization has itself is offered to environments.
        const offer = environmentId ? { offeredToAllEnvironments: false, offeredEnvironmentIds: [] } : {};
        const body = { ...values, ...offer, requestId, environmentId, integrationId: values.integrationId || undefined, name: values.name.trim() };
        const made = await client.POST("/v1/apps", { body });
        tell(t("admin.apps.added", { name: values.name.trim() }));
        await queries.invalidateQueries();
        await navigate({ to: "/admin/apps/$id", params: { id: made.data?.app?.id ?? "" } });
      }}
    >
      {(errors) => (
        <AppForm
          values={values}
          onChange={setValues}
          errors={errors}
          belongs={
            environments.length > 0 && (
              <SelectOrNone
                label={t("admin.apps.belongs")}
                hint={t("admin.apps.belongsHint")}
                value={environmentId}
                onChange={setEnvironment}
                none={t("admin.apps.ofOrganization")}
                choices={environments.map((e) => [e.id ?? "", e.name ?? ""])}
                error={errors.environmentId}
              />
            )
          }
          offers={whole && environmentId === undefined}
        />
      )}
    </Confirm>
  );
}
