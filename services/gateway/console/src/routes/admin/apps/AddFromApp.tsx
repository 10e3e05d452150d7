import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { api, type App, client, type Entitlement } from "@/api/client";
import { pageByPage } from "@/api/pages";
import { Button } from "@/components/Button";
import { CheckField } from "@/components/CheckField";
import { Confirm } from "@/components/Confirm";
import { Loading } from "@/components/Loading";
import { More } from "@/components/More";
import { ProblemNote } from "@/components/ProblemNote";
import { SearchBox } from "@/components/SearchBox";
import { TextBox } from "@/components/TextBox";
import { tell } from "@/components/Toasts";
import { RiskSelect } from "./RiskSelect";

interface Taken {
  name: string;
  description: string;
  risk: NonNullable<Entitlement["risk"]>;
}

/** As many as are made at once. */
const most = 100;

/** Adds several things that the app itself lists, each with what it opens and its risk. */
export function AddFromApp({ app, known }: { app: App; known: readonly Entitlement[] }) {
  const { t } = useTranslation();
  const queries = useQueryClient();
  const [taken, setTaken] = useState<Record<string, Taken>>({});
  const refs = Object.keys(taken);
  const named = refs.every((ref) => taken[ref]?.name.trim());
  return (
    <Confirm
      trigger={<Button>{t("admin.apps.addFromApp")}</Button>}
      title={t("admin.apps.addFromApp")}
      action={t("admin.apps.addSome", { count: refs.length })}
      ready={refs.length > 0 && refs.length <= most && named}
      onOpen={() => setTaken({})}
      act={async (requestId) => {
        const requests = refs.map((ref) => ({ ref, kind: "ENTITLEMENT_KIND_GROUP" as const, ...taken[ref], name: taken[ref]?.name.trim() ?? "" }));
        try {
          await client.POST("/v1/apps/{app_id}/entitlements:batchCreate", { params: { path: { app_id: app.id ?? "" } }, body: { requests, requestId } });
          tell(t("admin.apps.addedSome", { count: refs.length }));
        } finally {
          await queries.invalidateQueries();
        }
      }}
    >
      <Listed integration={app.integrationId ?? ""} known={known} taken={taken} onChange={setTaken} />
    </Confirm>
  );
}

interface ListedProps {
  integration: string;
  known: readonly Entitlement[];
  taken: Record<string, Taken>;
  onChange: (taken: Record<string, Taken>) => void;
}

/** What the app lists, with what is said of each that is taken. What is taken stays when other words are looked for. */
function Listed({ integration, known, taken, onChange }: ListedProps) {
  const { t } = useTranslation();
  const [words, setWords] = useState<string>();
  const list = api.useInfiniteQuery(
    "get",
    "/v1/integrations/{id}/entitlements",
    { params: { path: { id: integration }, query: { kind: "ENTITLEMENT_KIND_GROUP", query: words, pageSize: 50 } } },
    { ...pageByPage, staleTime: 30_000 },
  );
  const found = (list.data?.pages ?? []).flatMap((p) => p.entitlements ?? []).map((e) => ({ ref: e.ref ?? "", name: e.displayName ?? "" }));
  const rows = [...Object.keys(taken).filter((ref) => !found.some((f) => f.ref === ref)).map((ref) => ({ ref, name: taken[ref]?.name ?? "" })), ...found];
  const left = rows.filter(({ ref, name }) => taken[ref] || !known.some((e) => e.ref === ref || e.ref === name));
  const set = (ref: string, change: Partial<Taken>) => {
    const one = taken[ref];
    if (one) onChange({ ...taken, [ref]: { ...one, ...change } });
  };
  return (
    <>
      <SearchBox label={t("admin.apps.searchInApp")} value={words} onChange={setWords} />
      {list.isPending && <Loading />}
      {list.error && <ProblemNote error={list.error} again={() => void list.refetch()} />}
      {list.data && left.length === 0 && <p className="quiet">{t("admin.apps.nothingInApp")}</p>}
      {left.map(({ ref, name }) => (
        <div key={ref} className="stack tight">
          <CheckField
            label={name}
            value={ref in taken}
            onChange={(on) =>
              onChange(
                on ? { ...taken, [ref]: { name, description: "", risk: "ENTITLEMENT_RISK_UNSPECIFIED" } } : Object.fromEntries(Object.entries(taken).filter(([other]) => other !== ref)),
              )
            }
          />
          {taken[ref] && (
            <>
              <TextBox label={t("admin.apps.nameOf", { name })} value={taken[ref].name} onChange={(name) => set(ref, { name })} isRequired />
              <TextBox label={t("admin.apps.opensOf", { name })} hint={t("admin.apps.opensHint")} value={taken[ref].description} onChange={(description) => set(ref, { description })} />
              <RiskSelect label={t("admin.apps.riskOf", { name })} value={taken[ref].risk} onChange={(risk) => set(ref, { risk })} />
            </>
          )}
        </div>
      ))}
      <More list={list} />
    </>
  );
}
