import { keepPreviousData, useQueries } from "@tanstack/react-query";
import { getRouteApi, Link, useNavigate } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { api, type WorkItem } from "@/api/client";
import { useOpenChecklists } from "@/api/due";
import { someAtATime } from "@/api/filter";
import { workItemKinds, workItemStates } from "@/api/kinds";
import { pageByPage } from "@/api/pages";
import { Empty } from "@/components/Empty";
import { HoldingRows, useHeldPages } from "@/components/held";
import { Page } from "@/components/Page";
import { Rows } from "@/components/Rows";
import { SelectOrNone } from "@/components/Select";
import { reopenable, WorkItemLine } from "@/components/WorkItemLine";

const route = getRouteApi("/shell/admin/work-items");

/** What people must do, and what has failed in an app, oldest first. */
export function WorkItems() {
  const { t } = useTranslation();
  const search = route.useSearch();
  const navigate = useNavigate();
  const filter = (change: Partial<typeof search>) => void navigate({ to: "/admin/work-items", search: { ...search, ...change }, replace: true });
  const { kind, app, user, state } = search;
  const items = api.useInfiniteQuery(
    "get",
    "/v1/workItems",
    { params: { query: { kind, appId: app, userId: user, state, pageSize: 50 } } },
    { ...pageByPage, placeholderData: keepPreviousData },
  );
  const apps = api.useQuery("get", "/v1/apps", { params: { query: { pageSize: 1000 } } });
  const all = items.data?.pages.flatMap((p) => p.workItems ?? []) ?? [];
  const { list, hold } = useHeldPages(items, "workItems");
  const reopened = useReopened(all);
  const listOf = useOpenChecklists(all.filter((item) => item.state === "WORK_ITEM_STATE_OPEN").map((item) => item.checklistId));
  const filtered = Object.keys(search).length > 0;
  return (
    <Page title={t("admin.pages.workItems")} lead={t("admin.work.lead")}>
      <div className="filters">
        <SelectOrNone
          label={t("admin.work.kind")}
          value={kind}
          onChange={(kind) => filter({ kind })}
          none={t("admin.work.every")}
          choices={workItemKinds.map((k) => [k, t(`admin.work.kinds.${k}`)])}
        />
        <SelectOrNone
          label={t("admin.work.app")}
          value={app}
          onChange={(app) => filter({ app })}
          none={t("admin.work.every")}
          choices={(apps.data?.apps ?? []).map((a) => [a.id ?? "", a.name ?? ""])}
        />
        <SelectOrNone
          label={t("admin.work.state")}
          value={state ?? "WORK_ITEM_STATE_OPEN"}
          onChange={(state) => filter({ state: state === "WORK_ITEM_STATE_OPEN" ? undefined : state })}
          choices={workItemStates.map((k) => [k, t(`admin.work.states.${k}`)])}
        />
      </div>
      <HoldingRows value={hold}>
        <Rows
          list={list}
          of={(p) => p.workItems}
          id={(item) => item.id}
          empty={
            <Empty title={t(filtered ? "admin.work.nothing" : "admin.work.none")}>
              {filtered && (
                <Link to="/admin/work-items" search={{}} className="button">
                  {t("admin.work.all")}
                </Link>
              )}
            </Empty>
          }
        >
          {(item) => <WorkItemLine item={item} whose list={listOf(item.checklistId)} reopened={reopened.has(item.id)} />}
        </Rows>
      </HoldingRows>
    </Page>
  );
}

/** Which of these a later item reopens already. */
function useReopened(items: readonly WorkItem[]): ReadonlySet<string | undefined> {
  const filters = someAtATime(items.filter(reopenable).map((i) => i.id ?? ""), "reopenedItemId");
  const later = useQueries({
    queries: filters.flatMap((filter) =>
      (["WORK_ITEM_STATE_OPEN", "WORK_ITEM_STATE_RESOLVED"] as const).map((state) => ({
        ...api.queryOptions("get", "/v1/workItems", { params: { query: { filter, state, pageSize: 1000 } } }),
        // With more of the list the last filter is another: what is known stays meanwhile.
        placeholderData: keepPreviousData,
      })),
    ),
  });
  return new Set(later.flatMap((found) => found.data?.workItems ?? []).map((item) => item.reopenedItemId));
}
