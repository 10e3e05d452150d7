import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { type App, client, type Entitlement } from "@/api/client";
import { maskOf } from "@/api/mask";
import { Button } from "@/components/Button";
import { Confirm } from "@/components/Confirm";
import { FindInApp } from "@/components/Find";
import { Select } from "@/components/Select";
import { TextBox } from "@/components/TextBox";
import { tell } from "@/components/Toasts";
import { RiskSelect } from "./RiskSelect";

const fields = ["name", "description", "ref", "kind", "risk"] as const;
type Kind = "ENTITLEMENT_KIND_ROLE" | "ENTITLEMENT_KIND_GROUP" | "ENTITLEMENT_KIND_LICENSE";

function valuesOf(entitlement?: Entitlement) {
  return { name: entitlement?.name ?? "", description: entitlement?.description ?? "", ref: entitlement?.ref ?? "", risk: entitlement?.risk ?? "ENTITLEMENT_RISK_UNSPECIFIED" };
}

/** Adds something to be held in an app, or changes it. Where the app tells what it has, its groups are chosen from that. */
export function EditEntitlement({ app, entitlement }: { app: App; entitlement?: Entitlement }) {
  const { t } = useTranslation();
  const queries = useQueryClient();
  const [seen, setSeen] = useState(entitlement);
  const [values, setValues] = useState(valuesOf(entitlement));
  const [kind, setKind] = useState<Kind>("ENTITLEMENT_KIND_GROUP");
  const updateMask = maskOf(valuesOf(seen), values);
  const account = seen?.kind === "ENTITLEMENT_KIND_ACCOUNT";
  const listed = !!app.integrationId && (seen ? seen.kind : kind) === "ENTITLEMENT_KIND_GROUP";
  const save = async (requestId: string) => {
    const body = { ...values, name: values.name.trim(), ref: values.ref.trim() };
    const path = { app_id: app.id ?? "", id: seen?.id ?? "" };
    try {
      if (seen) await client.PATCH("/v1/apps/{app_id}/entitlements/{id}", { params: { path, query: { updateMask } }, body: { ...body, etag: seen.etag } });
      else await client.POST("/v1/apps/{app_id}/entitlements", { params: { path }, body: { ...body, requestId, kind } });
      tell(t("admin.saved"));
    } finally {
      await queries.invalidateQueries();
    }
  };
  return (
    <Confirm
      trigger={
        <Button aria-label={entitlement && t("admin.changeWhat", { name: entitlement.name })}>{t(entitlement ? "admin.change" : "admin.apps.addEntitlement")}</Button>
      }
      title={seen ? t("admin.changeWhat", { name: seen.name }) : t("admin.apps.addEntitlement")}
      fields={fields}
      prefix="entitlement"
      action={t("save")}
      ready={updateMask !== "" && values.name.trim() !== ""}
      onOpen={() => {
        setSeen(entitlement);
        setValues(valuesOf(entitlement));
      }}
      act={save}
    >
      {(errors) => (
        <>
          {!seen && (
            <Select
              label={t("admin.apps.kind")}
              error={errors.kind}
              value={kind}
              onChange={setKind}
              choices={{
                ENTITLEMENT_KIND_GROUP: t("admin.apps.kinds.ENTITLEMENT_KIND_GROUP"),
                ENTITLEMENT_KIND_ROLE: t("admin.apps.kinds.ENTITLEMENT_KIND_ROLE"),
                ENTITLEMENT_KIND_LICENSE: t("admin.apps.kinds.ENTITLEMENT_KIND_LICENSE"),
              }}
            />
          )}
          {listed && (
            <FindInApp
              integration={app.integrationId ?? ""}
              label={t("admin.apps.inApp")}
              hint={t("admin.apps.inAppHint")}
              onFind={(found) => setValues({ ...values, ref: found.id, name: values.name || found.name })}
            />
          )}
          <TextBox label={t("admin.name")} value={values.name} onChange={(name) => setValues({ ...values, name })} isRequired error={errors.name} />
          <TextBox label={t("admin.apps.opens")} hint={t("admin.apps.opensHint")} value={values.description} onChange={(description) => setValues({ ...values, description })} error={errors.description} />
          {!account && <TextBox label={t("admin.apps.ref")} hint={t("admin.apps.refHint")} value={values.ref} onChange={(ref) => setValues({ ...values, ref })} error={errors.ref} />}
          <RiskSelect label={t("admin.apps.risk")} error={errors.risk} value={values.risk} onChange={(risk) => setValues({ ...values, risk })} />
        </>
      )}
    </Confirm>
  );
}
