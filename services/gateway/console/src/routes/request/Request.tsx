import { useQueryClient } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { type AccessRequest, api, client } from "@/api/client";
import { useMe } from "@/api/me";
import { endedRequest, itemTones, requestTones } from "@/api/states";
import { Ask } from "@/components/Ask";
import { Button } from "@/components/Button";
import { Confirm } from "@/components/Confirm";
import { Loading } from "@/components/Loading";
import { Page } from "@/components/Page";
import { Progress } from "@/components/Progress";
import { ProblemNote } from "@/components/ProblemNote";
import { useAbout } from "@/components/RequestLine";
import { RiskTag } from "@/components/RiskTag";
import { Tag } from "@/components/Tag";
import { Talk } from "@/components/Talk";
import { Time } from "@/components/Time";
import { Timeline } from "@/components/Timeline";
import { tell } from "@/components/Toasts";
import { Report } from "./Report";
import { Tasks } from "./Tasks";
import { Work } from "./Work";

const route = getRouteApi("/shell/requests/$id");

/** One request: where it stands, what is to be done about it, what has happened, and what people say. */
export function Request() {
  const { t } = useTranslation();
  const { id } = route.useParams();
  const about = useAbout();
  const found = api.useQuery("get", "/v1/requests/{id}", { params: { path: { id } } });
  const request = found.data?.request;
  if (!request) {
    return <Page title={t("request.title")}>{found.error ? <ProblemNote error={found.error} again={() => void found.refetch()} /> : <Loading />}</Page>;
  }
  const state = request.state ?? "REQUEST_STATE_UNSPECIFIED";
  return (
    <Page title={about(request)} actions={<Tag tone={requestTones[state]}>{t(`requestStates.${state}`)}</Tag>}>
      <Facts request={request} />
      <Items request={request} />
      <Tasks request={request} />
      <Work request={request} />
      <Acts request={request} />
      <Report request={request} />
      <section className="stack tight" aria-labelledby="timeline">
        <h2 id="timeline">{t("request.timeline")}</h2>
        <Timeline id={id} />
      </section>
      <Comments id={id} />
    </Page>
  );
}

function Facts({ request }: { request: AccessRequest }) {
  const { t } = useTranslation();
  return (
    <dl className="facts card">
      <dt>{t("request.beneficiary")}</dt>
      <dd>{request.beneficiary?.displayName}</dd>
      <dt>{t("request.requester")}</dt>
      <dd>
        {request.requester?.displayName}, <Time at={request.createTime ?? ""} />
      </dd>
      <dt>{t("request.kind")}</dt>
      <dd>
        {t(request.kind === "REQUEST_KIND_REVOKE" ? "request.revoke" : "request.grant")}
        {request.kind !== "REQUEST_KIND_REVOKE" && (
          <>
            , {request.until ? t("until") : t("access.permanent")} {request.until && <Time at={request.until} />}
          </>
        )}
      </dd>
      {request.justification && (
        <>
          <dt>{t("request.justification")}</dt>
          <dd className="pre">{request.justification}</dd>
        </>
      )}
      {request.fields?.map((f) => (
        <div key={f.key} className="fact">
          <dt>{f.label || f.key}</dt>
          <dd className="pre">{f.value}</dd>
        </div>
      ))}
      {request.progress && (
        <>
          <dt>{t("progress.all")}</dt>
          <dd>
            <Progress of={request.progress} />
          </dd>
        </>
      )}
      {request.myProgress && (
        <>
          <dt>{t("progress.mine")}</dt>
          <dd>
            <Progress mine of={request.myProgress} />
          </dd>
        </>
      )}
      {request.closeTime && (
        <>
          <dt>{t("request.closedBy")}</dt>
          <dd>
            {request.closedBy?.displayName} <Time at={request.closeTime} />
            {request.closingReason && <span className="pre">: {request.closingReason}</span>}
          </dd>
        </>
      )}
    </dl>
  );
}

function Items({ request }: { request: AccessRequest }) {
  const { t } = useTranslation();
  return (
    <section className="stack tight" aria-labelledby="items">
      <h2 id="items">{t("request.items")}</h2>
      <ul className="list">
        {request.items?.map((item) => {
          const state = item.state ?? "ITEM_STATE_UNSPECIFIED";
          return (
            <li key={item.id}>
              <div className="what">
                <span>
                  {item.appName} · {item.entitlementName}
                </span>
                {request.kind !== "REQUEST_KIND_REVOKE" && <span className="quiet small">{t(`comes.${item.provisioning ?? "PROVISIONING_SUPPORT_UNSPECIFIED"}`)}</span>}
                {item.bundleName && <span className="quiet small">{t("request.inBundle", { name: item.bundleName })}</span>}
                {item.closingReason && <span className="small">{item.closingReason}</span>}
                {item.giveUp && (
                  <span className="small">
                    {t("request.givenUpBy", { name: item.giveUp.by?.displayName })}: {item.giveUp.reason}
                  </span>
                )}
                {item.vacancy && (
                  <div className="note stack tight" data-tone="warn">
                    <span>
                      {t("request.vacancy", { step: item.vacancy.stepName })} {item.vacancy.reason}
                    </span>
                    <ul>{item.vacancy.help?.map((help) => <li key={help}>{help}</li>)}</ul>
                  </div>
                )}
              </div>
              <RiskTag risk={item.entitlementRisk} />
              <Tag tone={itemTones[state]}>{t(`itemStates.${state}`)}</Tag>
            </li>
          );
        })}
      </ul>
      {!!request.hiddenItemCount && <p className="quiet small">{t("request.hidden", { count: request.hiddenItemCount })}</p>}
    </section>
  );
}

/** What its people can still do: cancel it while it is decided, give up what an app does not do. */
function Acts({ request }: { request: AccessRequest }) {
  const { t } = useTranslation();
  const queries = useQueryClient();
  const me = useMe().data?.user;
  const theirs = [request.requester?.userId, request.beneficiary?.userId].includes(me?.id) || me?.role === "ROLE_ADMIN" || me?.role === "ROLE_IT_ADMIN";
  if (!theirs || endedRequest.includes(request.state)) return null;
  const items = request.items ?? [];
  const path = { params: { path: { id: request.id ?? "" } } };
  const done = async (text: string) => {
    tell(text);
    await queries.invalidateQueries();
  };
  const stuck = request.kind !== "REQUEST_KIND_REVOKE" && items.some((i) => i.state === "ITEM_STATE_FAILED" || i.state === "ITEM_STATE_APPROVED") && !items.some((i) => i.giveUp);
  return (
    <div className="row">
      {items.some((i) => i.state === "ITEM_STATE_PENDING") && (
        <Ask
          trigger={<Button kind="danger">{t("request.cancel")}</Button>}
          title={t("request.cancelTitle")}
          label={t("request.cancelReason")}
          field="reason"
          action={t("request.cancel")}
          danger
          act={async (reason) => {
            await client.POST("/v1/requests/{id}:cancel", { ...path, body: { reason } });
            await done(t("request.cancelled"));
          }}
        />
      )}
      {items.some((i) => i.state === "ITEM_STATE_PENDING") && (
        <Confirm
          trigger={<Button>{t("request.remind")}</Button>}
          title={t("request.remindTitle")}
          action={t("request.remind")}
          act={async () => {
            const { data } = await client.POST("/v1/requests/{request_id}:remindReviewers", { params: { path: { request_id: request.id ?? "" } }, body: {} });
            await done(t("request.reminded", { count: data?.remindedCount ?? 0 }));
          }}
        >
          <p>{t("request.remindText")}</p>
        </Confirm>
      )}
      {stuck && (
        <Ask
          trigger={<Button>{t("request.giveUp")}</Button>}
          title={t("request.giveUpTitle")}
          label={t("request.giveUpReason")}
          field="reason"
          needed
          action={t("request.giveUp")}
          act={async (reason) => {
            await client.POST("/v1/requests/{id}:giveUp", { ...path, body: { reason } });
            await done(t("request.gaveUp"));
          }}
        >
          <p>{t("request.giveUpText")}</p>
        </Ask>
      )}
    </div>
  );
}

function Comments({ id }: { id: string }) {
  const { t } = useTranslation();
  const comments = api.useQuery("get", "/v1/requests/{id}/comments", { params: { path: { id }, query: { pageSize: 1000 } } });
  return (
    <section className="stack tight" aria-labelledby="comments">
      <h2 id="comments">{t("request.comments")}</h2>
      {comments.error && <ProblemNote error={comments.error} again={() => void comments.refetch()} />}
      <Talk
        said={comments.data?.comments ?? []}
        label={t("request.comment")}
        hint={t("request.commentHint")}
        may
        say={(text, requestId) => client.POST("/v1/requests/{id}/comments", { params: { path: { id } }, body: { requestId, text } })}
      />
    </section>
  );
}
