import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { type Bundle, client } from "@/api/client";
import { maskOf } from "@/api/mask";
import { useEntitlementNames } from "@/api/names";
import { Button } from "@/components/Button";
import { Chosen } from "@/components/Chosen";
import { Confirm } from "@/components/Confirm";
import { FindApp } from "@/components/Find";
import { TextBox } from "@/components/TextBox";
import { tell } from "@/components/Toasts";
import { Within } from "@/routes/admin/flows/ScopeForm";

const fields = ["name", "description", "entitlementIds"] as const;

function valuesOf(bundle?: Bundle) {
  return { name: bundle?.name ?? "", description: bundle?.description ?? "", entitlementIds: bundle?.entitlementIds ?? [] };
}

/** Adds a bundle, or changes it as it was when the form opened. */
export function EditBundle({ bundle }: { bundle?: Bundle }) {
  const { t } = useTranslation();
  const queries = useQueryClient();
  const [seen, setSeen] = useState(bundle);
  const [values, setValues] = useState(valuesOf(bundle));
  const [app, setApp] = useState<{ id: string; name: string }>();
  const names = useEntitlementNames(values.entitlementIds);
  const known = new Map(seen?.items?.map((i) => [i.entitlementId, `${i.appName} · ${i.entitlementName}`]));
  const updateMask = maskOf(valuesOf(seen), values);
  return (
    <Confirm
      trigger={<Button kind={bundle ? undefined : "main"} aria-label={bundle && t("admin.changeWhat", { name: bundle.name })}>{t(bundle ? "admin.change" : "admin.bundles.add")}</Button>}
      title={seen ? t("admin.changeWhat", { name: seen.name }) : t("admin.bundles.add")}
      fields={fields}
      prefix="bundle"
      action={t("save")}
      ready={updateMask !== "" && values.name.trim() !== "" && values.entitlementIds.length > 0}
      onOpen={() => {
        setSeen(bundle);
        setValues(valuesOf(bundle));
        setApp(undefined);
      }}
      act={async (requestId) => {
        const body = { ...values, name: values.name.trim(), description: values.description.trim() };
        try {
          if (seen) await client.PATCH("/v1/bundles/{id}", { params: { path: { id: seen.id ?? "" }, query: { updateMask } }, body: { ...body, etag: seen.etag } });
          else await client.POST("/v1/bundles", { body: { ...body, requestId } });
          tell(t("admin.saved"));
        } finally {
          await queries.invalidateQueries();
        }
      }}
    >
      {(errors) => (
        <>
          <TextBox label={t("admin.name")} value={values.name} onChange={(name) => setValues({ ...values, name })} isRequired error={errors.name} />
          <TextBox label={t("admin.description")} hint={t("admin.bundles.descriptionHint")} lines value={values.description} onChange={(description) => setValues({ ...values, description })} error={errors.description} />
          <FindApp label={t("admin.bundles.chooseApp")} hint={t("admin.bundles.chooseAppHint")} error={errors.entitlementIds} onFind={setApp} />
          {app && (
            <div className="choices">
              <h3>{app.name}</h3>
              <Within app={app.id} ids={values.entitlementIds} onChange={(entitlementIds) => setValues({ ...values, entitlementIds })} />
            </div>
          )}
          <Chosen
            label={t("admin.bundles.has")}
            ordered
            ids={values.entitlementIds}
            gone={seen?.goneIds}
            names={(id) => names(id) ?? known.get(id)}
            onChange={(entitlementIds) => setValues({ ...values, entitlementIds })}
          />
        </>
      )}
    </Confirm>
  );
}
