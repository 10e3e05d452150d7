import { getRouteApi, Link } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { api } from "@/api/client";
import { useHasRole } from "@/api/me";
import { Loading } from "@/components/Loading";
import { Page } from "@/components/Page";
import { ProblemNote } from "@/components/ProblemNote";
import { Tag } from "@/components/Tag";
import { DeleteFlow } from "./DeleteFlow";
import { lengthOf } from "./values";
import { useFlowWords } from "./words";

const route = getRouteApi("/shell/admin/flows/$id");

/** One flow: what sets it off, whom it is for, what it is about, and who approves. */
export function Flow() {
  const { t } = useTranslation();
  const { id } = route.useParams();
  const changes = useHasRole("ROLE_ADMIN", "ROLE_IT_ADMIN");
  const found = api.useQuery("get", "/v1/flows/{id}", { params: { path: { id } } });
  const flow = found.data?.flow;
  const words = useFlowWords(flow ? [flow] : []);
  if (!flow) {
    return <Page title={t("admin.flows.one")}>{found.error ? <ProblemNote error={found.error} again={() => void found.refetch()} /> : <Loading />}</Page>;
  }
  const join = flow.trigger === "FLOW_TRIGGER_JOIN";
  return (
    <Page
      title={flow.name ?? ""}
      actions={
        changes && (
          <>
            <Link to="/admin/flows/$id/change" params={{ id }} className="button">
              {t("admin.change")}
            </Link>
            <DeleteFlow flow={flow} />
          </>
        )
      }
    >
      {!!flow.goneIds?.length && (
        <p className="note" data-tone="warn">
          {t("admin.flows.goneText", { count: flow.goneIds.length })}
        </p>
      )}
      <dl className="facts card">
        <dt>{t("admin.flows.state")}</dt>
        <dd>
          <Tag tone={flow.enabled ? "good" : "none"}>{t(flow.enabled ? "admin.flows.on" : "admin.flows.off")}</Tag> {t("admin.flows.version", { n: flow.version })}
        </dd>
        <dt>{t("admin.flows.trigger")}</dt>
        <dd>{words.trigger(flow)}</dd>
        <dt>{t("admin.flows.audience")}</dt>
        <dd>
          {words.audience(flow)}
          {flow.onlyAudience && `. ${t("admin.flows.onlyAudience")}`}
        </dd>
        {!join && (
          <>
            <dt>{t("admin.flows.requesters")}</dt>
            <dd>{words.requesters(flow)}</dd>
          </>
        )}
        <dt>{t("admin.flows.scope")}</dt>
        <dd>{words.scope(flow)}</dd>
        {!join && (
          <>
            <dt>{t("admin.flows.kinds")}</dt>
            <dd>{flow.kinds?.length ? flow.kinds.map((k) => t(k === "REQUEST_KIND_REVOKE" ? "request.revoke" : "request.grant")).join(", ") : t("request.grant")}</dd>
          </>
        )}
        {flow.condition && (
          <>
            <dt>{t("admin.flows.condition")}</dt>
            <dd>
              <code>{flow.condition}</code>
            </dd>
          </>
        )}
        {!!flow.minJustificationLength && (
          <>
            <dt>{t("admin.flows.minJustification")}</dt>
            <dd>{flow.minJustificationLength}</dd>
          </>
        )}
        {!!flow.fields?.length && (
          <>
            <dt>{t("admin.flows.asksFor")}</dt>
            <dd>{flow.fields.map((f) => f.label).join(", ")}</dd>
          </>
        )}
        {flow.weeklyHours && (
          <>
            <dt>{t("admin.flows.hours")}</dt>
            <dd>
              {flow.weeklyHours.windows?.map((w) => `${t(`admin.flows.weekdays.${w.day ?? "WEEKDAY_UNSPECIFIED"}`)} ${w.from}–${w.to}`).join(", ")} ({flow.weeklyHours.timeZone})
            </dd>
          </>
        )}
        {flow.decideWithin && (
          <>
            <dt>{t("admin.flows.decideWithin")}</dt>
            <dd>{lengthOf(flow.decideWithin)}</dd>
          </>
        )}
        <dt>{t("admin.flows.longest")}</dt>
        <dd>{flow.maxDuration ? t("admin.flows.days", { count: Number(lengthOf(flow.maxDuration)) }) : t("admin.flows.noLimit")}</dd>
        <dt>{t("admin.flows.priority")}</dt>
        <dd>{flow.priority ?? 0}</dd>
        {join && (
          <>
            <dt>{t("admin.flows.unmatch")}</dt>
            <dd>
              {t(`admin.flows.unmatches.${flow.unmatchAction ?? "UNMATCH_ACTION_UNSPECIFIED"}`)}
              {flow.unmatchAfter && `. ${t("admin.flows.afterHours", { count: Number(lengthOf(flow.unmatchAfter, "hours")) })}`}
            </dd>
          </>
        )}
      </dl>
      <section className="stack tight" aria-labelledby="steps">
        <h2 id="steps">{t("admin.flows.steps")}</h2>
        {flow.distinctReviewers && <p className="quiet">{t("admin.flows.distinctHint")}</p>}
        {flow.autoApprove ? (
          <p>{t("admin.flows.byItself")}</p>
        ) : (
          <ol className="list">
            {flow.steps?.map((step, i) => (
              <li key={i}>
                <div className="what">
                  <strong>
                    {i + 1}. {step.name}
                  </strong>
                  <span>{words.step(step)}</span>
                </div>
              </li>
            ))}
          </ol>
        )}
      </section>
    </Page>
  );
}
