import { useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { type App, client, type Entitlement } from "@/api/client";
import { Problem } from "@/api/problem";
import { Button } from "@/components/Button";
import { Confirm } from "@/components/Confirm";
import { tell } from "@/components/Toasts";

interface Props {
  app: App;
  /** Of the app; without it the app itself goes. */
  entitlement?: Entitlement;
}

/** Deletes an app, or something in it. If anybody has access, it first says how many, and ends it only then. */
export function DeleteInUse({ app, entitlement }: Props) {
  const { t } = useTranslation();
  const queries = useQueryClient();
  const navigate = useNavigate();
  const [use, setUse] = useState<Problem>();
  const name = entitlement?.name ?? app.name;
  const remove = async () => {
    try {
      if (entitlement) {
        const path = { app_id: app.id ?? "", id: entitlement.id ?? "" };
        await client.DELETE("/v1/apps/{app_id}/entitlements/{id}", { params: { path, query: { etag: entitlement.etag, endAccess: use !== undefined } } });
      } else {
        await client.DELETE("/v1/apps/{id}", { params: { path: { id: app.id ?? "" }, query: { etag: app.etag, endAccess: use !== undefined } } });
      }
    } catch (e) {
      if (e instanceof Problem && (e.reason === "APP_IN_USE" || e.reason === "ENTITLEMENT_IN_USE")) setUse(e);
      throw e;
    }
    tell(t("admin.deleted", { name }));
    if (!entitlement) await navigate({ to: "/admin/apps" });
    await queries.invalidateQueries();
  };
  return (
    <Confirm
      trigger={
        <Button kind="danger" aria-label={t("admin.deleteWhat", { name })}>
          {t("admin.delete")}
        </Button>
      }
      title={t("admin.deleteTitle", { name })}
      action={t(use ? "admin.apps.endAndDelete" : "admin.delete")}
      danger
      onOpen={() => setUse(undefined)}
      act={remove}
    >
      {use ? (
        <div className="note" data-tone="warn">
          <ul>
            <li>{t("admin.apps.grants", { count: Number(use.metadata.grants ?? 0) })}</li>
            <li>{t("admin.apps.openRequests", { count: Number(use.metadata.open_requests ?? 0) })}</li>
          </ul>
          <p>{t("admin.apps.endText")}</p>
        </div>
      ) : (
        <p>{t("admin.apps.deleteText")}</p>
      )}
    </Confirm>
  );
}
