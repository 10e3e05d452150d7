import { useState } from "react";
import { useTranslation } from "react-i18next";
import { api } from "@/api/client";
import { useAppNames, useEntitlementNames } from "@/api/names";
import { Choice } from "@/components/Choice";
import { CheckField } from "@/components/CheckField";
import { Chosen } from "@/components/Chosen";
import { FindApp } from "@/components/Find";
import { Loading } from "@/components/Loading";
import { ProblemNote } from "@/components/ProblemNote";
import { TextBox } from "@/components/TextBox";
import type { FlowValues } from "./values";

interface Props {
  /** A join-flow gives entitlements, and nothing wider. */
  join: boolean;
  value: FlowValues["scope"];
  onChange: (value: FlowValues["scope"]) => void;
  errors: Partial<Record<string, string>>;
}

const risks = ["ENTITLEMENT_RISK_LOW", "ENTITLEMENT_RISK_MEDIUM", "ENTITLEMENT_RISK_HIGH", "ENTITLEMENT_RISK_CRITICAL"] as const;

/** What a flow is about. */
export function ScopeForm({ join, value, onChange, errors }: Props) {
  const { t } = useTranslation();
  const appNames = useAppNames(value.appIds ?? []);
  const [app, setApp] = useState<{ id: string; name: string }>();
  const names = useEntitlementNames(value.entitlementIds ?? []);
  const any = value.any && !join;
  const [categories, setCategories] = useState((value.categories ?? []).join(", "));
  const all = value.appIds ?? [];
  return (
    <section className="card" aria-labelledby="scope">
      <h2 id="scope">{t("admin.flows.scope")}</h2>
      {!join && (
        <Choice
          label={t("admin.flows.scope")}
          value={any ? "any" : "some"}
          onChange={(what) => onChange({ ...value, any: what === "any" })}
          choices={{ any: t("admin.flows.everyApp"), some: t("admin.flows.someApps") }}
        />
      )}
      {!join && (
        <div className="choices" role="group" aria-label={t("admin.flows.risks")}>
          <h3>{t("admin.flows.risks")}</h3>
          {risks.map((risk) => (
            <CheckField
              key={risk}
              label={t(`risks.${risk}`)}
              value={(value.risks ?? []).includes(risk)}
              onChange={(on) => onChange({ ...value, risks: on ? [...(value.risks ?? []), risk] : value.risks?.filter((r) => r !== risk) })}
            />
          ))}
          <span className="hint">{t("admin.flows.risksHint")}</span>
        </div>
      )}
      {!any && !join && (
        <TextBox
          label={t("admin.flows.categories")}
          hint={t("admin.flows.categoriesHint")}
          value={categories}
          onChange={(text) => {
            setCategories(text);
            onChange({ ...value, categories: text.split(",").map((c) => c.trim()).filter((c) => c !== "") });
          }}
          error={errors["scope.categories"]}
        />
      )}
      {!any && (
        <>
          <FindApp label={t("admin.flows.chooseApp")} hint={t("admin.flows.chooseAppHint")} error={errors["scope.appIds"] ?? errors["scope.entitlementIds"] ?? errors.scope} onFind={setApp} />
          {app && (
            <div className="choices">
              <h3>{app.name}</h3>
              {!join && (
                <CheckField
                  label={t("admin.flows.everything")}
                  value={all.includes(app.id)}
                  onChange={(on) => onChange({ ...value, appIds: on ? [...all, app.id] : all.filter((id) => id !== app.id) })}
                />
              )}
              <Within app={app.id} ids={value.entitlementIds ?? []} onChange={(entitlementIds) => onChange({ ...value, entitlementIds })} />
            </div>
          )}
          {!join && <Chosen label={t("admin.pages.apps")} ids={all} names={appNames} onChange={(appIds) => onChange({ ...value, appIds })} />}
          <Chosen label={t("admin.apps.entitlements")} ids={value.entitlementIds ?? []} names={names} onChange={(entitlementIds) => onChange({ ...value, entitlementIds })} />
        </>
      )}
    </section>
  );
}

/** What can be held in an app, each chosen or not. */
export function Within({ app, ids, onChange }: { app: string; ids: readonly string[]; onChange: (ids: string[]) => void }) {
  const found = api.useQuery("get", "/v1/apps/{app_id}/entitlements", { params: { path: { app_id: app }, query: { pageSize: 1000 } } });
  if (found.isPending) return <Loading rows={2} />;
  if (found.error) return <ProblemNote error={found.error} again={() => void found.refetch()} />;
  return found.data.entitlements?.map((e) => (
    <CheckField key={e.id} label={e.name ?? ""} value={ids.includes(e.id ?? "")} onChange={(on) => onChange(on ? [...ids, e.id ?? ""] : ids.filter((id) => id !== e.id))} />
  ));
}
