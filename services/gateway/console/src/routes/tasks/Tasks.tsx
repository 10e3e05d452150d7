import { useTranslation } from "react-i18next";
import { api } from "@/api/client";
import { pageByPage, refetchInterval } from "@/api/pages";
import { Empty } from "@/components/Empty";
import { HoldingRows, useHeld } from "@/components/held";
import { Loading } from "@/components/Loading";
import { More } from "@/components/More";
import { Page } from "@/components/Page";
import { ProblemNote } from "@/components/ProblemNote";
import { TaskLine } from "@/components/TaskLine";
import { Views } from "./Views";

/** What waits for the caller's decision, oldest first. */
export function Tasks() {
  const { t } = useTranslation();
  const tasks = api.useInfiniteQuery("get", "/v1/tasks", { params: { query: { state: "TASK_STATE_OPEN", pageSize: 50 } } }, { ...pageByPage, refetchInterval });
  const { shown: all, hold } = useHeld(tasks.data?.pages.flatMap((p) => p.tasks ?? []) ?? []);
  return (
    <Page title={t("nav.tasks")} lead={t("task.lead")}>
      <Views />
      {tasks.isPending && <Loading />}
      {tasks.error && <ProblemNote error={tasks.error} again={() => void tasks.refetch()} />}
      {tasks.data && all.length === 0 && <Empty title={t("home.noTasks")} />}
      {all.length > 0 && (
        <HoldingRows value={hold}>
          <ul className="list">
            {all.map((task) => (
              <TaskLine key={task.id} task={task} />
            ))}
          </ul>
        </HoldingRows>
      )}
      <More list={tasks} />
    </Page>
  );
}
