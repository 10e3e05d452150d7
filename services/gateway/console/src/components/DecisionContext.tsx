import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { api, type ItemContext, type RequestItem } from "@/api/client";
import { itemTones } from "@/api/states";
import { Loading } from "./Loading";
import { ProblemNote } from "./ProblemNote";
import { RiskTag } from "./RiskTag";
import { Tag } from "./Tag";
import { Time } from "./Time";

interface Props {
  /** Id of the request. */
  id: string;
  /** What is decided. */
  items: readonly Pick<RequestItem, "id" | "appName" | "entitlementName">[];
}

/** What helps to decide items of a request: what the person has, who else has it, what it opens, and what was decided before. */
export function DecisionContext({ id, items }: Props) {
  const { t } = useTranslation();
  const found = api.useQuery("get", "/v1/requests/{id}/decisionContext", { params: { path: { id } } });
  if (found.error) return <ProblemNote error={found.error} again={() => void found.refetch()} />;
  const context = found.data?.context;
  if (!context) return <Loading />;
  return items.map((item) => {
    const about = context.items?.find((i) => i.itemId === item.id);
    if (!about) return null;
    const name = `${item.appName} · ${item.entitlementName}`;
    return (
      <dl key={item.id} className="facts small" aria-label={t("context.of", { name })}>
        {items.length > 1 && (
          <>
            <dt>{t("request.kind")}</dt>
            <dd>{name}</dd>
          </>
        )}
        <About about={about} app={item.appName ?? ""} until={context.until} />
      </dl>
    );
  });
}

function About({ about, app, until }: { about: ItemContext; app: string; until?: string }) {
  const { t } = useTranslation();
  const { held = [], heldCount = 0, groups = [], decisions = [], earlierRequests = [], sameManager: managed } = about;
  const judged = about.risk && about.risk !== "ENTITLEMENT_RISK_UNSPECIFIED";
  return (
    <>
      <dt>{t("context.opens")}</dt>
      <dd className="pre">{about.description || t("context.notDescribed")}</dd>
      <dt>{t("context.risk")}</dt>
      <dd>{judged ? <RiskTag risk={about.risk} /> : t("context.notJudged")}</dd>
      <dt>{t("context.until")}</dt>
      <dd>{until ? <Time at={until} /> : t("context.forGood")}</dd>
      <dt>{t("context.has", { app })}</dt>
      <dd>
        {held.length === 0 && t("context.nothing")}
        {held.map((h) => (
          <div key={h.entitlementId}>
            {h.entitlementName}
            <span className="quiet">
              {h.since ? (
                <>
                  {" "}
                  {t("context.since")} <Time at={h.since} />
                </>
              ) : (
                ` (${t("context.notInPlace")})`
              )}
              {h.until && (
                <>
                  {", "}
                  {t("until")} <Time at={h.until} />
                </>
              )}
            </span>
          </div>
        ))}
        {heldCount > held.length && <div className="quiet">{t("context.more", { count: heldCount - held.length })}</div>}
      </dd>
      <dt>{t("context.lastUse")}</dt>
      <dd>{t("context.unknown")}</dd>
      <dt>{t("context.peers")}</dt>
      <dd>
        <div>
          {managed?.unknown
            ? t("context.noManager")
            : t(managed?.peopleCount ? "context.sameManager" : "context.noPeers", { name: managed?.name, holders: managed?.holderCount ?? 0, people: managed?.peopleCount ?? 0 })}
        </div>
        {groups.map((g) => (
          <div key={g.groupId}>{t("context.sameGroup", { name: g.name, holders: g.holderCount ?? 0, people: g.peopleCount ?? 0 })}</div>
        ))}
      </dd>
      <dt>{t("context.decided")}</dt>
      <dd>
        {decisions.length === 0 && t("context.nobodyDecided")}
        {decisions.map((d) => (
          <div key={`${d.step} ${d.reviewer?.userId}`}>
            {t("context.step", { step: d.step })}: {d.reviewer?.displayName}, {t(`context.outcomes.${d.outcome ?? "DECISION_OUTCOME_UNKNOWN"}`)}{" "}
            <span className="quiet">
              <Time at={d.time ?? ""} />
            </span>
          </div>
        ))}
      </dd>
      <dt>{t("context.earlier")}</dt>
      <dd>
        {earlierRequests.length === 0 && t("context.noEarlier")}
        {earlierRequests.map((e) => {
          const state = e.state ?? "ITEM_STATE_UNSPECIFIED";
          const when = <Time at={e.createTime ?? ""} />;
          return (
            <div key={e.createTime}>
              {e.requestId ? (
                <Link to="/requests/$id" params={{ id: e.requestId }}>
                  {when}
                </Link>
              ) : (
                when
              )}
              , {t(e.kind === "REQUEST_KIND_REVOKE" ? "context.take" : "context.give")} <Tag tone={itemTones[state]}>{t(`itemStates.${state}`)}</Tag>
              {e.closeTime && (
                <span className="quiet">
                  {" "}
                  <Time at={e.closeTime} />
                </span>
              )}
            </div>
          );
        })}
      </dd>
    </>
  );
}

/** The same in a row of a list: asked for once somebody wants to see it. */
export function DecisionContextOf({ about, ...props }: Props & { about: string }) {
  const { t } = useTranslation();
  const [open, setOpen] = useState(false);
  return (
    <details className="activity" open={open} onToggle={(e) => setOpen(e.currentTarget.open)}>
      <summary aria-label={t("context.of", { name: about })}>{t("context.title")}</summary>
      {open && <DecisionContext {...props} />}
    </details>
  );
}
