import { useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { client } from "@/api/client";
import { Button } from "@/components/Button";
import { Confirm } from "@/components/Confirm";
import { tell } from "@/components/Toasts";
import { AppForm } from "./AppForm";
import { appFields, valuesOf } from "./values";

/** Adds an app to the catalog. */
export function NewApp() {
  const { t } = useTranslation();
  const queries = useQueryClient();
  const navigate = useNavigate();
  const [values, setValues] = useState(valuesOf());
  return (
    <Confirm
      trigger={<Button kind="main">{t("admin.apps.add")}</Button>}
      title={t("admin.apps.add")}
      fields={appFields}
      action={t("admin.apps.add")}
      ready={values.name.trim() !== ""}
      onOpen={() => setValues(valuesOf())}
      act={async (requestId) => {
        const made = await client.POST("/v1/apps", { body: { ...values, requestId, integrationId: values.integrationId || undefined, name: values.name.trim() } });
        tell(t("admin.apps.added", { name: values.name.trim() }));
        await queries.invalidateQueries();
        await navigate({ to: "/admin/apps/$id", params: { id: made.data?.app?.id ?? "" } });
      }}
    >
      {(errors) => <AppForm values={values} onChange={setValues} errors={errors} />}
    </Confirm>
  );
}
