import { useTranslation } from "react-i18next";
import { api } from "@/api/client";
import { pageByPage } from "@/api/pages";
import { Empty } from "@/components/Empty";
import { HoldingRows, useHeldPages } from "@/components/held";
import { Page } from "@/components/Page";
import { Rows } from "@/components/Rows";
import { TaskLine } from "@/components/TaskLine";
import { Views } from "./Views";

/** What waits for the caller's decision, oldest first. */
export function Tasks() {
  const { t } = useTranslation();
  const tasks = api.useInfiniteQuery("get", "/v1/tasks", { params: { query: { state: "TASK_STATE_OPEN", pageSize: 50 } } }, { ...pageByPage });
  const { list, hold } = useHeldPages(tasks, "tasks");
  return (
    <Page title={t("nav.tasks")} lead={t("task.lead")}>
      <Views />
      <HoldingRows value={hold}>
        <Rows list={list} of={(p) => p.tasks?.filter((task) => task.request)} id={(task) => task.id} empty={<Empty title={t("home.noTasks")} />}>
          {(task) => <TaskLine task={task} />}
        </Rows>
      </HoldingRows>
    </Page>
  );
}
