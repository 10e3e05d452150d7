import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { type App, client } from "@/api/client";
import { useWhole } from "@/api/me";
import { maskOf } from "@/api/mask";
import { Button } from "@/components/Button";
import { Confirm } from "@/components/Confirm";
import { tell } from "@/components/Toasts";
import { AppForm } from "./AppForm";
import { appFields, valuesOf } from "./values";

/** Changes an app as it was when the form opened. */
export function ChangeApp({ app }: { app: App }) {
  const { t } = useTranslation();
  const queries = useQueryClient();
  const [seen, setSeen] = useState(app);
  const [values, setValues] = useState(valuesOf(app));
  const whole = useWhole();
  const updateMask = maskOf(valuesOf(seen), values);
  return (
    <Confirm
      trigger={<Button>{t("admin.change")}</Button>}
      title={t("admin.changeWhat", { name: seen.name })}
      fields={appFields}
      prefix="app"
      action={t("save")}
      ready={updateMask !== "" && values.name.trim() !== ""}
      onOpen={() => {
        setSeen(app);
        setValues(valuesOf(app));
      }}
      act={async () => {
        try {
          await client.PATCH("/v1/apps/{id}", { params: { path: { id: seen.id ?? "" }, query: { updateMask } }, body: { ...values, name: values.name.trim(), etag: seen.etag } });
          tell(t("admin.saved"));
        } finally {
          await queries.invalidateQueries();
        }
      }}
    >
      {(errors) => <AppForm values={values} onChange={setValues} errors={errors} app={seen} offers={whole && !seen.environmentId} />}
    </Confirm>
  );
}
