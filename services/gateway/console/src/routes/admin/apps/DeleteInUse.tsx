import { useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { type App, client, type Entitlement } from "@/api/client";
import { Problem } from "@/api/problem";
import { Button } from "@/components/Button";
import { Confirm } from "@/components/Confirm";
import { Loading } from "@/components/Loading";
import { ProblemNote } from "@/components/ProblemNote";
import { tell } from "@/components/Toasts";
import { useEnds } from "./useEnds";
import { WhatEnds } from "./WhatEnds";

interface Props {
  app: App;
  /** Of the app; without it the app itself goes. */
  entitlement?: Entitlement;
}

/** Deletes an app, or something in it, after showing what ends with it. Access is ended only if it was said that somebody has some. */
export function DeleteInUse({ app, entitlement }: Props) {
  const { t } = useTranslation();
  const queries = useQueryClient();
  const navigate = useNavigate();
  const [open, setOpen] = useState(false);
  // Of what the caller does not see, the API tells how much there is.
  const [refused, setRefused] = useState<Problem>();
  const { ends, flows, more, isPending, error, again } = useEnds(app, entitlement, open);
  const name = entitlement?.name ?? app.name;
  // What the button says does not change under it: who gets access meanwhile is kept by the API, and shown then.
  const [inUse, setInUse] = useState<boolean>();
  if (open && ends && inUse === undefined) setInUse(ends.inUse);
  const endAccess = refused !== undefined || !!inUse;
  const remove = async () => {
    try {
      if (entitlement) {
        const path = { app_id: app.id ?? "", id: entitlement.id ?? "" };
        await client.DELETE("/v1/apps/{app_id}/entitlements/{id}", { params: { path, query: { etag: entitlement.etag, endAccess } } });
      } else {
        await client.DELETE("/v1/apps/{id}", { params: { path: { id: app.id ?? "" }, query: { etag: app.etag, endAccess } } });
      }
    } catch (e) {
      if (e instanceof Problem && (e.reason === "APP_IN_USE" || e.reason === "ENTITLEMENT_IN_USE")) setRefused(e);
      throw e;
    }
    setOpen(false);
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
      action={t(endAccess ? "admin.apps.endAndDelete" : "admin.delete")}
      danger
      ready={!isPending}
      onOpen={() => {
        setRefused(undefined);
        setInUse(undefined);
        setOpen(true);
        if (open) again();
      }}
      onClose={() => setOpen(false)}
      act={remove}
    >
      <p>{t("admin.apps.deleteText")}</p>
      {isPending && <Loading rows={2} />}
      {error !== undefined && <ProblemNote error={error} again={again} />}
      {ends && <WhatEnds app={app} entitlement={entitlement} ends={ends} flows={flows} more={more} />}
      {refused && (
        <div className="note" data-tone="warn">
          <ul>
            {refused.metadata.apps_behind && <li>{t("admin.ends.behind", { count: Number(refused.metadata.apps_behind) })}</li>}
            <li>{t("admin.apps.grants", { count: Number(refused.metadata.grants ?? 0) })}</li>
            <li>{t("admin.apps.openRequests", { count: Number(refused.metadata.open_requests ?? 0) })}</li>
          </ul>
        </div>
      )}
    </Confirm>
  );
}
