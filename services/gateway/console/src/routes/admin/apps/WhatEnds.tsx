import { Link } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import type { App, Entitlement, Flow } from "@/api/client";
import { Time } from "@/components/Time";
import { asksElsewhere, type Ends } from "./ends";

/** How many are named of each. */
const named = 5;

interface Props {
  app: App;
  entitlement?: Entitlement;
  ends: Ends;
  flows: readonly Flow[];
  more: boolean;
}

/** What ends with an app, or with something in it. */
export function WhatEnds({ app, entitlement, ends, flows, more }: Props) {
  const { t } = useTranslation();
  const disabled = app.deprovisioningAction === "DEPROVISIONING_ACTION_DISABLE";
  const automatic = app.provisioning === "PROVISIONING_SUPPORT_AUTOMATIC";
  const shared = app.provisioning === "PROVISIONING_SUPPORT_NONE";
  return (
    <div className="note stack tight" data-tone={ends.inUse ? "warn" : undefined}>
      {!ends.inUse && <p>{t("admin.ends.nothing")}</p>}
      {ends.people.length > 0 && (
        <>
          <p>
            {t("admin.ends.people", { count: ends.people.length })} {t("admin.apps.grants", { count: ends.grants })}
          </p>
          <Named
            all={ends.people}
            id={(person) => person.userId}
            one={(person) => (
              <Link to="/admin/people/$id" params={{ id: person.userId ?? "" }}>
                {person.displayName}
              </Link>
            )}
          />
        </>
      )}
      {!entitlement && !shared && ends.accounts > 0 && (
        <p>
          {t(disabled ? "admin.ends.disabled" : "admin.ends.removed", { count: ends.accounts })} {t(automatic ? "admin.ends.byIntegration" : "admin.ends.byPeople")}
        </p>
      )}
      {!entitlement && !shared && ends.adopted > 0 && <p>{t("admin.ends.adopted", { count: ends.adopted })}</p>}
      {ends.cancelled.length > 0 && (
        <>
          <p>{t("admin.apps.openRequests", { count: ends.cancelled.length })}</p>
          <Named
            all={ends.cancelled}
            id={(request) => request.id}
            one={(request) => (
              <>
                <Link to="/requests/$id" params={{ id: request.id ?? "" }}>
                  {t("request.for", { name: request.beneficiary?.displayName })}, <Time at={request.createTime ?? ""} />
                </Link>
                {asksElsewhere(request, app, entitlement) && ` ${t("admin.ends.elsewhere")}`}
              </>
            )}
          />
        </>
      )}
      {ends.pointless > 0 && <p>{t("admin.ends.pointless", { count: ends.pointless })}</p>}
      {ends.items > 0 && (
        <p>
          <Link to="/admin/work-items" search={{ app: app.id }}>
            {t("admin.ends.items", { count: ends.items })}
          </Link>
        </p>
      )}
      {ends.behind.length > 0 && (
        <>
          <p>{t("admin.ends.behind", { count: ends.behind.length })}</p>
          <Named
            all={ends.behind}
            id={(one) => one.id}
            one={(one) => (
              <Link to="/admin/apps/$id" params={{ id: one.id ?? "" }}>
                {one.name}
              </Link>
            )}
          />
        </>
      )}
      {flows.length > 0 && (
        <>
          <p>{t("admin.ends.flows", { count: flows.length })}</p>
          <Named
            all={flows}
            id={(flow) => flow.id}
            one={(flow) => (
              <Link to="/admin/flows/$id" params={{ id: flow.id ?? "" }}>
                {flow.name}
              </Link>
            )}
          />
        </>
      )}
      {more && <p>{t("admin.ends.more")}</p>}
    </div>
  );
}

/** The first of many. */
function Named<T>({ all, id, one }: { all: readonly T[]; id: (one: T) => string | undefined; one: (one: T) => React.ReactNode }) {
  const { t } = useTranslation();
  return (
    <ul className="points">
      {all.slice(0, named).map((each) => (
        <li key={id(each)}>{one(each)}</li>
      ))}
      {all.length > named && <li>{t("admin.apps.andMore", { count: all.length - named })}</li>}
    </ul>
  );
}
