import { getRouteApi, Link } from "@tanstack/react-router";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { api, type Checklist as List, type WorkItem } from "@/api/client";
import { useHasRole } from "@/api/me";
import { Button } from "@/components/Button";
import { Check } from "@/components/Check";
import { Due } from "@/components/Due";
import { HoldingRows, useHeld } from "@/components/held";
import { Loading } from "@/components/Loading";
import { Page } from "@/components/Page";
import { ProblemNote } from "@/components/ProblemNote";
import { Tag } from "@/components/Tag";
import { Resolve, useWork, WorkItemLine } from "@/components/WorkItemLine";
import { ChangeDue } from "./ChangeDue";

const route = getRouteApi("/shell/admin/checklists/$id");

/** What is to be done for one person who joined or left, and what was. */
export function Checklist() {
  const { t } = useTranslation();
  const { id } = route.useParams();
  const found = api.useQuery("get", "/v1/checklists/{id}", { params: { path: { id } } });
  const may = useHasRole("ROLE_ADMIN", "ROLE_IT_ADMIN");
  const list = found.data?.checklist;
  if (!list) {
    return (
      <Page title={t("admin.checklists.one")}>{found.error ? <ProblemNote error={found.error} again={() => void found.refetch()} /> : <Loading />}</Page>
    );
  }
  const items = found.data?.workItems ?? [];
  const ended = items.filter((i) => i.state !== "WORK_ITEM_STATE_OPEN");
  return (
    <Page
      title={list.user?.displayName ?? ""}
      lead={
        <>
          {t(`admin.checklists.kinds.${list.kind ?? "CHECKLIST_KIND_UNSPECIFIED"}`)} · <Due list={list} /> ·{" "}
          <Link to="/admin/people/$id" params={{ id: list.user?.userId ?? "" }}>
            {t("admin.checklists.person")}
          </Link>
        </>
      }
      actions={
        <>
          {list.overdue && <Tag tone="bad">{t("admin.checklists.overdue")}</Tag>}
          {may && !list.closeTime && <ChangeDue list={list} />}
        </>
      }
    >
      {found.error && <ProblemNote error={found.error} again={() => void found.refetch()} />}
      <OpenItems list={list} items={items.filter((i) => i.state === "WORK_ITEM_STATE_OPEN")} />
      {ended.length > 0 && (
        <section className="stack tight" aria-labelledby="ended">
          <h2 id="ended">{t("admin.checklists.ended")}</h2>
          <ul className="list">
            {ended.map((item) => (
              <WorkItemLine key={item.id} item={item} reopened={items.some((later) => later.reopenedItemId === item.id)} />
            ))}
          </ul>
        </section>
      )}
    </Page>
  );
}

/** The open items: some or all can be selected, and resolved together. */
export function OpenItems({ items, list }: { items: readonly WorkItem[]; list?: List }) {
  const { t } = useTranslation();
  const work = useWork();
  const may = useHasRole("ROLE_ADMIN", "ROLE_IT_ADMIN");
  const { shown, hold } = useHeld(items);
  const [chosen, choose] = useState<ReadonlySet<string>>(new Set());
  // What others have resolved meanwhile is not open any more, and not selected.
  const selected = items.filter((i) => chosen.has(i.id ?? ""));
  const toggle = (id: string, on: boolean) => choose(new Set(on ? [...chosen, id] : [...chosen].filter((k) => k !== id)));
  return (
    <section className="stack tight" aria-labelledby="open">
      <h2 id="open">{t("admin.checklists.todo")}</h2>
      {items.length === 0 && <p className="quiet">{t("admin.checklists.allDone")}</p>}
      {may && items.length > 0 && (
        <div className="row apart">
          <Check
            isSelected={selected.length === items.length}
            isIndeterminate={selected.length > 0 && selected.length < items.length}
            onChange={(on) => choose(new Set(on ? items.map((i) => i.id ?? "") : []))}
          >
            {t("admin.checklists.selectAll")}
          </Check>
          <Resolve
            items={selected}
            done={() => choose(new Set())}
            trigger={
              <Button kind="main" isDisabled={selected.length === 0}>
                {t("admin.checklists.resolveSelected", { count: selected.length })}
              </Button>
            }
          />
        </div>
      )}
      {shown.length > 0 && (
        <HoldingRows value={hold}>
          <ul className="list">
            {shown.map((item) => (
              <WorkItemLine
                key={item.id}
                item={item}
                list={list}
                before={
                  may && (
                    <Check
                      aria-label={t("admin.checklists.select", { name: work(item) })}
                      isSelected={chosen.has(item.id ?? "")}
                      onChange={(on) => toggle(item.id ?? "", on)}
                    />
                  )
                }
              />
            ))}
          </ul>
        </HoldingRows>
      )}
    </section>
  );
}
