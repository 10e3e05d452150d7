import { useState } from "react";
import { useTranslation } from "react-i18next";
import { Link } from "@tanstack/react-router";
import { api, type Flow, type FlowInput, type User } from "@/api/client";
import { Button } from "@/components/Button";
import { FindApp } from "@/components/Find";
import { Loading } from "@/components/Loading";
import { People } from "@/components/People";
import { ProblemNote } from "@/components/ProblemNote";
import { RouteSteps } from "@/components/RouteSteps";
import { Select } from "@/components/Select";
import { Tag } from "@/components/Tag";
import { Time } from "@/components/Time";
import { Effects } from "./Effects";
import { Within } from "./ScopeForm";

interface Props {
  seen?: Flow;
  flow: FlowInput;
}

/** Tries a flow before it is saved: what it would mean, an imagined request, and the real ones of the last days. */
export function TryFlow({ seen, flow }: Props) {
  const { t } = useTranslation();
  const draft = { id: seen?.id, flow };
  const join = flow.trigger === "FLOW_TRIGGER_JOIN";
  const preview = api.useMutation("post", "/v1/flows:preview");
  const replay = api.useMutation("post", "/v1/flows:replay");
  const [days, setDays] = useState("30");
  return (
    <section className="card" aria-labelledby="try">
      <h2 id="try">{t("admin.flows.try")}</h2>
      <p className="quiet">{t("admin.flows.tryText")}</p>
      <div>
        <Button isPending={preview.isPending} onPress={() => preview.mutate({ body: { draft } })}>
          {t("admin.flows.whom")}
        </Button>
      </div>
      <div aria-live="polite">
        {preview.error && <ProblemNote error={preview.error} />}
        {preview.data && <Effects preview={preview.data} />}
      </div>
      {!join && (
        <>
          <Simulation draft={draft} />
          <h3>{t("admin.flows.replay")}</h3>
          <div className="row">
            <Select label={t("admin.flows.replayDays")} value={days} onChange={setDays} choices={{ "7": t("admin.flows.days", { count: 7 }), "30": t("admin.flows.days", { count: 30 }), "90": t("admin.flows.days", { count: 90 }) }} />
            <Button isPending={replay.isPending} onPress={() => replay.mutate({ body: { draft, days: Number(days) } })}>
              {t("admin.flows.replayAct")}
            </Button>
          </div>
          <div aria-live="polite">
            {replay.isPending && <Loading rows={2} />}
            {replay.error && <ProblemNote error={replay.error} />}
            {replay.data && (
              <div className="stack tight">
                <p>{t("admin.flows.replayed", { count: replay.data.changedCount ?? 0, all: replay.data.itemCount ?? 0 })}</p>
                <ul className="list" aria-label={t("admin.flows.replay")}>
                  {replay.data.items?.map((item, i) => (
                    <li key={i}>
                      <div className="what">
                        <Link to="/requests/$id" params={{ id: item.requestId ?? "" }}>
                          {item.name}
                        </Link>
                        <span className="small quiet">
                          {item.beneficiary?.displayName} · <Time at={item.createTime ?? ""} /> · {t([`admin.flows.outcomes.${item.outcome ?? "open"}` as "admin.flows.outcomes.open"])}
                          {!!item.decidedBy?.length && ` · ${item.decidedBy.map((p) => p.displayName).join(", ")}`}
                        </span>
                        <div className="small">
                          {t("admin.flows.before")}: {item.before && <Decision decision={item.before} />}
                        </div>
                        <div className="small">
                          {t("admin.flows.after")}: {item.after && <Decision decision={item.after} />}
                        </div>
                      </div>
                    </li>
                  ))}
                </ul>
                {replay.data.truncated && <p className="small quiet">{t("admin.flows.truncated")}</p>}
              </div>
            )}
          </div>
        </>
      )}
    </section>
  );
}

interface DecisionProps {
  decision: { flowName?: string; refusal?: string; route?: Parameters<typeof RouteSteps>[0]["route"] };
}

/** How an item is decided: by which flow, and by whom or why not. */
function Decision({ decision: { flowName, refusal, route } }: DecisionProps) {
  const { t } = useTranslation();
  return (
    <>
      <span>{flowName || t("admin.flows.theDefault")}</span> {refusal && <Tag tone="bad">{t([`refusals.${refusal}` as "refusals.OTHER", "refusals.OTHER"])}</Tag>}
      {route && <RouteSteps route={route} />}
    </>
  );
}

/** An imagined request, and how it would be decided. */
function Simulation({ draft }: { draft: { id?: string; flow: FlowInput } }) {
  const { t } = useTranslation();
  const [whom, setWhom] = useState<User>();
  const [asker, setAsker] = useState<User>();
  const [app, setApp] = useState<{ id: string; name: string }>();
  const [ids, setIds] = useState<string[]>([]);
  const [kind, setKind] = useState<"REQUEST_KIND_GRANT" | "REQUEST_KIND_REVOKE">("REQUEST_KIND_GRANT");
  const simulate = api.useMutation("post", "/v1/flows:simulate");
  return (
    <div className="stack tight">
      <h3>{t("admin.flows.simulate")}</h3>
      <People label={t("admin.flows.simulateWhom")} onChoose={setWhom} />
      <People label={t("admin.flows.simulateAsker")} hint={t("admin.flows.simulateAskerHint")} onChoose={setAsker} />
      <FindApp label={app ? app.name : t("admin.flows.simulateApp")} onFind={(found) => { setApp(found); setIds([]); }} />
      {app && <Within app={app.id} ids={ids} onChange={setIds} />}
      <Select label={t("admin.flows.kinds")} value={kind} onChange={setKind} choices={{ REQUEST_KIND_GRANT: t("request.grant"), REQUEST_KIND_REVOKE: t("request.revoke") }} />
      <div>
        <Button
          isDisabled={!whom || ids.length === 0}
          isPending={simulate.isPending}
          onPress={() => simulate.mutate({ body: { draft, beneficiaryId: whom?.id ?? "", requesterId: asker?.id, kind, entitlementIds: ids } })}
        >
          {t("admin.flows.simulateAct")}
        </Button>
      </div>
      <div aria-live="polite">
        {simulate.error && <ProblemNote error={simulate.error} />}
        <ul className="list" aria-label={t("admin.flows.simulate")}>
          {simulate.data?.items?.map((item) => (
            <li key={item.entitlementId}>
              <div className="what">
                <strong>{item.name}</strong>
                <Decision decision={item} />
                {item.refusalText && <span className="small">{item.refusalText}</span>}
                <ul className="small quiet" aria-label={t("admin.flows.considered")}>
                  {item.considered?.map((f, i) => (
                    <li key={i}>
                      {f.flowName}: {f.mismatch ? t([`admin.flows.mismatches.${f.mismatch}` as "admin.flows.mismatches.OTHER", "admin.flows.mismatches.OTHER"]) : t("admin.flows.decides")}
                    </li>
                  ))}
                </ul>
              </div>
            </li>
          ))}
        </ul>
      </div>
    </div>
  );
}
