import { useState } from "react";
import { Link } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { api } from "@/api/client";
import { useMe } from "@/api/me";
import { CountOf } from "@/components/CountOf";
import { Empty } from "@/components/Empty";
import { HoldingRows, useHeld } from "@/components/held";
import { Loading } from "@/components/Loading";
import { Page } from "@/components/Page";
import { ProblemNote } from "@/components/ProblemNote";
import { RequestLine } from "@/components/RequestLine";
import { TaskLine } from "@/components/TaskLine";
import { Time } from "@/components/Time";

const nothing: never[] = [];
const soon = 14 * 24 * 3600 * 1000;

/** What waits for the caller, what they have asked for, and what ends soon. */
export function Home() {
  const { t } = useTranslation();
  const me = useMe().data?.user;
  const tasks = api.useQuery("get", "/v1/tasks", { params: { query: { state: "TASK_STATE_OPEN", pageSize: 6 } } });
  const requests = api.useQuery("get", "/v1/requests", { params: { query: { view: "REQUEST_VIEW_MY_OPEN", pageSize: 6 } } });
  // Not anew at each look: it is part of what is asked for.
  const [inAWhile] = useState(() => new Date(Date.now() + soon).toISOString());
  const grants = api.useQuery(
    "get",
    "/v1/grants",
    { params: { query: { userId: me?.id, state: "GRANT_STATE_ACTIVE", filter: `until < "${inAWhile}"`, pageSize: 200 } } },
    { enabled: me !== undefined },
  );
  const { shown: waiting, hold } = useHeld(tasks.data?.tasks ?? nothing);
  const ending = (grants.data?.grants ?? []).toSorted((a, b) => (a.until ?? "").localeCompare(b.until ?? ""));
  return (
    <Page
      title={t("home.title", { name: me?.givenName || me?.displayName })}
      actions={
        <Link to="/ask" className="button" data-kind="main">
          {t("home.ask")}
        </Link>
      }
    >
      <section className="stack" aria-labelledby="tasks">
        <h2 id="tasks">
          {t("home.tasks")}
          <CountOf query={{ view: "REQUEST_VIEW_ACTION_REQUIRED" }} />
        </h2>
        {tasks.isPending && <Loading rows={1} />}
        {tasks.error && <ProblemNote error={tasks.error} again={() => void tasks.refetch()} />}
        {tasks.data && waiting.length === 0 && <p className="quiet">{t("home.noTasks")}</p>}
        {waiting.length > 0 && (
          <HoldingRows value={hold}>
            <ul className="list">
              {waiting.map((task) => (
                <TaskLine key={task.id} task={task} />
              ))}
            </ul>
          </HoldingRows>
        )}
        <Link to="/tasks/$view" params={{ view: "action" }} search={{}}>
          {t("task.views.action")}
        </Link>
      </section>
      <section className="stack" aria-labelledby="requests">
        <h2 id="requests">
          {t("home.requests")}
          <CountOf query={{ view: "REQUEST_VIEW_MY_OPEN" }} />
        </h2>
        {requests.isPending && <Loading rows={1} />}
        {requests.error && <ProblemNote error={requests.error} again={() => void requests.refetch()} />}
        {requests.data && requests.data.requests?.length === 0 && (
          <Empty title={t("home.noRequests")}>
            <Link to="/catalog" className="button">
              {t("home.look")}
            </Link>
          </Empty>
        )}
        {!!requests.data?.requests?.length && (
          <ul className="list">
            {requests.data.requests.map((request) => (
              <RequestLine key={request.id} request={request} />
            ))}
          </ul>
        )}
        {requests.data?.nextPageToken && <Link to="/requests">{t("all")}</Link>}
      </section>
      {ending.length > 0 && (
        <section className="stack" aria-labelledby="ending">
          <h2 id="ending">{t("home.ending")}</h2>
          <ul className="list">
            {ending.map((g) => (
              <li key={g.id}>
                <span className="what">
                  {g.appName} · {g.entitlementName}
                </span>
                <span>
                  {t("ends")} <Time at={g.until!} relative />
                </span>
              </li>
            ))}
          </ul>
          <Link to="/access">{t("home.toAccess")}</Link>
        </section>
      )}
    </Page>
  );
}
