import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { api, type Grant, type User } from "@/api/client";
import { pageByPage } from "@/api/pages";
import { accountTones, grantTones } from "@/api/states";
import { Loading } from "@/components/Loading";
import { More } from "@/components/More";
import { ProblemNote } from "@/components/ProblemNote";
import { RequestLine } from "@/components/RequestLine";
import { Tag } from "@/components/Tag";
import { Time } from "@/components/Time";
import { ChecklistLine } from "@/routes/admin/checklists/ChecklistLine";

interface Props {
  title: string;
  /** Said if there is nothing. */
  none: string;
  list: { isPending: boolean; error: unknown; refetch: () => Promise<unknown>; hasNextPage: boolean; isFetchingNextPage: boolean; fetchNextPage: () => Promise<unknown> };
  children: readonly ReactNode[];
}

/** A list of what somebody has, on their page. */
function Part({ title, none, list, children }: Props) {
  return (
    <section className="stack tight" aria-label={title}>
      <h2>{title}</h2>
      {list.isPending && <Loading rows={1} />}
      {!!list.error && <ProblemNote error={list.error} again={() => void list.refetch()} />}
      {!list.isPending && !list.error && children.length === 0 && <p className="quiet">{none}</p>}
      {children.length > 0 && <ul className="list">{children}</ul>}
      <More list={list} />
    </section>
  );
}

/** The open checklists of somebody, if there are any. */
export function Checklists({ id }: { id: string }) {
  const { t } = useTranslation();
  const lists = api.useInfiniteQuery("get", "/v1/checklists", { params: { query: { userId: id, pageSize: 50 } } }, { ...pageByPage });
  const all = lists.data?.pages.flatMap((p) => p.checklists ?? []) ?? [];
  return (
    <Part title={t("admin.pages.checklists")} none={t("admin.people.noChecklists")} list={lists}>
      {all.map((list) => (
        <ChecklistLine key={list.id} list={list} />
      ))}
    </Part>
  );
}

/** What somebody holds, and what they held. */
export function Holds({ id }: { id: string }) {
  const { t } = useTranslation();
  const query = (filter: string) => ({ params: { query: { userId: id, filter, pageSize: 50 } } });
  const now = api.useInfiniteQuery("get", "/v1/grants", query("state != GRANT_STATE_REVOKED"), { ...pageByPage });
  const before = api.useInfiniteQuery("get", "/v1/grants", query("state = GRANT_STATE_REVOKED"), { ...pageByPage });
  return (
    <>
      <Part title={t("admin.people.holds")} none={t("admin.people.holdsNothing")} list={now}>
        {(now.data?.pages.flatMap((p) => p.grants ?? []) ?? []).map((grant) => (
          <GrantLine key={grant.id} grant={grant} />
        ))}
      </Part>
      <Part title={t("admin.people.held")} none={t("admin.people.heldNothing")} list={before}>
        {(before.data?.pages.flatMap((p) => p.grants ?? []) ?? []).map((grant) => (
          <GrantLine key={grant.id} grant={grant} />
        ))}
      </Part>
    </>
  );
}

function GrantLine({ grant }: { grant: Grant }) {
  const { t } = useTranslation();
  const state = grant.state ?? "GRANT_STATE_UNSPECIFIED";
  return (
    <li>
      <div className="what">
        <span>
          {grant.appName} · {grant.entitlementName}
        </span>
        <span className="quiet small">
          {t(grant.activateTime ? "access.since" : "access.approved")} <Time at={grant.activateTime ?? grant.createTime ?? ""} />
          {" · "}
          {grant.revokeTime ? (
            <>
              {t("until")} <Time at={grant.revokeTime} /> ({t(`admin.people.endReasons.${grant.endReason ?? "GRANT_END_REASON_UNSPECIFIED"}`)})
            </>
          ) : grant.until ? (
            <>
              {t("ends")} <Time at={grant.until} relative />
            </>
          ) : (
            t("access.permanent")
          )}
        </span>
        {grant.error && <span className="note small pre">{grant.error}</span>}
        <span className="row small">
          {grant.requestId && (
            <Link to="/requests/$id" params={{ id: grant.requestId }}>
              {t("admin.people.whyHad")}
            </Link>
          )}
          {grant.revokeRequestId && (
            <Link to="/requests/$id" params={{ id: grant.revokeRequestId }}>
              {t("admin.people.whyEnded")}
            </Link>
          )}
        </span>
      </div>
      <Tag tone={grantTones[state]}>{t(`grantStates.${state}`)}</Tag>
    </li>
  );
}

/** The accounts of somebody in apps; of somebody who has left or is suspended, which are still there. */
export function Accounts({ user }: { user: User }) {
  const { t } = useTranslation();
  const accounts = api.useInfiniteQuery("get", "/v1/accounts", { params: { query: { userId: user.id, pageSize: 50 } } }, { ...pageByPage });
  const all = accounts.data?.pages.flatMap((p) => p.accounts ?? []) ?? [];
  const left = user.state === "USER_STATE_REMOVED";
  return (
    <Part title={t("admin.people.accounts")} none={t("admin.people.noAccounts")} list={accounts}>
      {all.map((account) => {
        const state = account.state ?? "ACCOUNT_STATE_UNSPECIFIED";
        // Who is suspended may keep a disabled account: it comes back with them.
        const there = (state === "ACCOUNT_STATE_ACTIVE" && (left || user.state === "USER_STATE_SUSPENDED")) || (state === "ACCOUNT_STATE_DISABLED" && left);
        return (
          <li key={account.id}>
            <div className="what">
              <span>{account.appName}</span>
              <span className="quiet small">
                {account.userName && `${account.userName} · `}
                {t("admin.people.changed")} <Time at={account.updateTime ?? ""} relative />
                {account.adopted && ` · ${t("admin.people.adopted")}`}
              </span>
              {account.leftBehind?.map((place) => (
                <span key={`${place.baseUrl} ${place.externalId}`} className="small">
                  {t("admin.people.leftBehind", { name: place.userName, where: place.baseUrl })}
                </span>
              ))}
            </div>
            {there && <Tag tone="bad">{t("admin.people.stillThere")}</Tag>}
            <Tag tone={accountTones[state]}>{t(`admin.people.accountStates.${state}`)}</Tag>
          </li>
        );
      })}
    </Part>
  );
}

/** The requests for somebody, newest first. */
export function RequestsOf({ id, view }: { id: string; view: "REQUEST_VIEW_OPEN" | "REQUEST_VIEW_CLOSED" }) {
  const { t } = useTranslation();
  const requests = api.useInfiniteQuery("get", "/v1/requests", { params: { query: { beneficiaryId: id, view, pageSize: 20 } } }, { ...pageByPage });
  const all = requests.data?.pages.flatMap((p) => p.requests ?? []) ?? [];
  return (
    <Part title={t(view === "REQUEST_VIEW_OPEN" ? "admin.people.openRequests" : "admin.people.closedRequests")} none={t("admin.nothing")} list={requests}>
      {all.map((request) => (
        <RequestLine key={request.id} request={request} />
      ))}
    </Part>
  );
}
