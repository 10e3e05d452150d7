import { useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { client, type Checklist, type WorkItem } from "@/api/client";
import { useHasRole } from "@/api/me";
import { workItemTones } from "@/api/states";
import { Ask } from "./Ask";
import { Button } from "./Button";
import { Confirm } from "./Confirm";
import { Due } from "./Due";
import { useHold } from "./held";
import { Row } from "./Row";
import { Tag } from "./Tag";
import { Time } from "./Time";
import { adminRoles } from "@/routes/admin/pages";
import { tell } from "./Toasts";

/** Whether it can be run again. */
export function retryable(item: WorkItem): boolean {
  return item.state === "WORK_ITEM_STATE_OPEN" && (item.kind === "WORK_ITEM_KIND_FIX_OPERATION" || item.kind === "WORK_ITEM_KIND_ADOPT_ACCOUNT");
}

/** Whether a person has said that it is done: only that can have been a mistake. */
export function reopenable(item: WorkItem): boolean {
  return item.state === "WORK_ITEM_STATE_RESOLVED" && !!item.resolver?.userId;
}

/** What a work item is about, in few words. */
export function useWork() {
  const { t } = useTranslation();
  return (item: WorkItem): string => {
    const where = [item.appName, item.entitlementNames?.join(", ")].filter(Boolean).join(" · ");
    return `${t(`admin.work.kinds.${item.kind ?? "WORK_ITEM_KIND_UNSPECIFIED"}`)}: ${where}`;
  };
}

interface Props {
  item: WorkItem;
  /** Stands before it, such as a box to select it by. */
  before?: ReactNode;
  /** Whether it is said whose access it is about, with the way to their checklist. */
  whose?: boolean;
  /** The open checklist that it stands on, of which it is said until when it should be done. */
  list?: Checklist;
  /** Whether a later item reopens it already. */
  reopened?: boolean;
  /** Whether a member who sees it runs the app that it is in; admins act in every one. */
  runs?: boolean;
}

/** A work item in a list, with what can be done about it. */
export function WorkItemLine({ item, before, whose, list, reopened, runs }: Props) {
  const { t } = useTranslation();
  const admin = useHasRole(...adminRoles);
  const work = useWork();
  const state = item.state ?? "WORK_ITEM_STATE_UNSPECIFIED";
  const due = state === "WORK_ITEM_STATE_OPEN" ? list : undefined;
  return (
    <Row>
      {before}
      <div className="what">
        <span>{work(item)}</span>
        {whose && (
          <span className="small">
            {item.user?.userId && (
              <>
                {t("admin.work.whose")}{" "}
                {admin ? (
                  <Link to="/admin/people/$id" params={{ id: item.user.userId }}>
                    {item.user.displayName}
                  </Link>
                ) : (
                  item.user.displayName
                )}
              </>
            )}
            {admin && item.checklistId && (
              <>
                {item.user?.userId && " · "}
                <Link to="/admin/checklists/$id" params={{ id: item.checklistId }}>
                  {t("admin.work.checklist")}
                </Link>
              </>
            )}
          </span>
        )}
        <span className="quiet small">
          {t("admin.work.opened")} <Time at={item.createTime ?? ""} relative />
          {due && (
            <>
              {" · "}
              <Due list={due} />
            </>
          )}
          {item.resolveTime && (
            <>
              {" · "}
              {t(item.state === "WORK_ITEM_STATE_CANCELLED" ? "admin.work.cancelled" : "admin.work.resolvedBy", { name: item.resolver?.displayName })}{" "}
              <Time at={item.resolveTime} />
            </>
          )}
        </span>
        {item.note && <span className="small pre">“{item.note}”</span>}
        {item.reopenReason && <span className="small pre">{t("admin.work.reopenedBecause", { reason: item.reopenReason })}</span>}
        {item.error && (
          <p className="note small pre" data-tone={item.kind === "WORK_ITEM_KIND_FIX_OPERATION" && item.state === "WORK_ITEM_STATE_OPEN" ? "bad" : undefined}>
            {item.error}
          </p>
        )}
        {!!item.requestIds?.length && (
          <span className="row small">
            {item.requestIds.map((id, i) => (
              <Link key={id} to="/requests/$id" params={{ id }}>
                {item.requestIds?.length === 1 ? t("admin.work.request") : t("admin.work.requestNumber", { number: i + 1 })}
              </Link>
            ))}
          </span>
        )}
      </div>
      {due?.overdue && <Tag tone="bad">{t("admin.checklists.overdue")}</Tag>}
      <Tag tone={reopened ? "none" : workItemTones[state]}>{reopened ? t("admin.work.wasReopened") : t(`admin.work.states.${state}`)}</Tag>
      <Acts item={item} reopened={reopened} runs={runs} />
    </Row>
  );
}

function Acts({ item, reopened, runs }: Pick<Props, "item" | "reopened" | "runs">) {
  const { t } = useTranslation();
  const work = useWork();
  const queries = useQueryClient();
  const admin = useHasRole("ROLE_ADMIN", "ROLE_IT_ADMIN");
  const may = useHasRole("ROLE_MEMBER") ? runs : admin;
  const stays = useStay(item);
  const name = [work(item), item.user?.displayName].filter(Boolean).join(", ");
  if (!may) return null;
  const retry = async () => {
    await client.POST("/v1/workItems/{id}:retry", { params: { path: { id: item.id ?? "" } } });
    tell(t("admin.work.retried"));
    await queries.invalidateQueries();
  };
  const reopen = async (reason: string) => {
    await client.POST("/v1/checklists:reopen", { body: { workItemIds: [item.id ?? ""], reason } });
    tell(t("admin.work.reopened"));
    await queries.invalidateQueries();
  };
  return (
    <div className="row">
      {retryable(item) && (
        <Confirm
          {...stays}
          trigger={<Button aria-label={t("admin.work.actOf", { act: t("admin.work.retry"), name })}>{t("admin.work.retry")}</Button>}
          title={t("admin.work.retryTitle")}
          action={t("admin.work.retry")}
          act={retry}
        >
          <p>{name}</p>
          <p>{t(item.kind === "WORK_ITEM_KIND_ADOPT_ACCOUNT" ? "admin.work.retryAdopt" : "admin.work.retryText")}</p>
        </Confirm>
      )}
      {item.state === "WORK_ITEM_STATE_OPEN" && (
        <Resolve items={[item]} trigger={<Button aria-label={t("admin.work.actOf", { act: t("admin.work.resolve"), name })}>{t("admin.work.resolve")}</Button>} />
      )}
      {reopenable(item) && !reopened && (
        <Ask
          {...stays}
          trigger={<Button aria-label={t("admin.work.actOf", { act: t("admin.work.reopen"), name })}>{t("admin.work.reopen")}</Button>}
          title={t("admin.work.reopenTitle")}
          label={t("admin.work.reason")}
          field="reason"
          needed
          action={t("admin.work.reopen")}
          act={reopen}
        >
          <p>{name}</p>
          <p>{t("admin.work.reopenText")}</p>
        </Ask>
      )}
    </div>
  );
}

/** Keeps rows in their list while a dialog about them is open: somebody else may do it meanwhile, and the dialog says so. */
function useStay(...items: readonly WorkItem[]) {
  const hold = useHold();
  const all = (on: boolean) => () => items.forEach((item) => hold(item.id ?? "", on));
  return { onOpen: all(true), onClose: all(false) };
}

/** Says of some work items together that they are done: of all or of none. */
export function Resolve({ items, trigger, done }: { items: readonly WorkItem[]; trigger: ReactNode; done?: () => void }) {
  const { t } = useTranslation();
  const work = useWork();
  const queries = useQueryClient();
  const stays = useStay(...items);
  const resolve = async (note: string) => {
    const { data } = await client.POST("/v1/checklists:resolve", { body: { workItemIds: items.map((i) => i.id ?? ""), note } });
    const workItemIds = (data?.workItems ?? []).filter(reopenable).map((i) => i.id ?? "");
    const reopen = async () => {
      await client.POST("/v1/checklists:reopen", { body: { workItemIds, reason: t("admin.undo.reason") } });
      void queries.invalidateQueries();
      return t("admin.undo.reopened", { count: workItemIds.length });
    };
    tell(t("admin.work.resolved", { count: items.length }), workItemIds.length === items.length ? { label: t("admin.undo.reopen", { count: items.length }), act: reopen } : undefined);
    done?.();
    await queries.invalidateQueries();
  };
  return (
    <Ask
      {...stays}
      trigger={trigger}
      title={t("admin.work.resolveTitle", { count: items.length })}
      label={t("admin.work.note")}
      hint={t("admin.work.noteHint")}
      field="note"
      action={t("admin.work.resolve")}
      act={resolve}
    >
      <ul>
        {items.map((item) => (
          <li key={item.id}>
            {[work(item), item.user?.displayName].filter(Boolean).join(", ")}
          </li>
        ))}
      </ul>
      <p>{t("admin.work.resolveText")}</p>
      {items.some((i) => i.kind === "WORK_ITEM_KIND_ADOPT_ACCOUNT") && <p className="note" data-tone="warn">{t("admin.work.resolveAdopt")}</p>}
    </Ask>
  );
}
