import { useState } from "react";
import { useTranslation } from "react-i18next";
import { api } from "@/api/client";
import { pageByPage } from "@/api/pages";
import { Check } from "@/components/Check";
import { Empty } from "@/components/Empty";
import { HoldingRows, useHeldPages } from "@/components/held";
import { Page } from "@/components/Page";
import { Rows } from "@/components/Rows";
import { TaskLine, useTaskName } from "@/components/TaskLine";
import { Together } from "./Together";
import { Views } from "./Views";

/** What waits for the caller's decision, oldest first. */
export function Tasks() {
  const { t } = useTranslation();
  const tasks = api.useInfiniteQuery("get", "/v1/tasks", { params: { query: { state: "TASK_STATE_OPEN", pageSize: 50 } } }, { ...pageByPage });
  const { list, hold } = useHeldPages(tasks, "tasks");
  const [chosen, choose] = useState<ReadonlySet<string>>(new Set());
  const name = useTaskName();
  const shown = tasks.data?.pages.flatMap((p) => p.tasks?.filter((task) => task.request) ?? []) ?? [];
  const toggle = (id: string, on: boolean) => choose(new Set(on ? [...chosen, id] : [...chosen].filter((k) => k !== id)));
  return (
    <Page title={t("nav.tasks")} lead={t("task.lead")}>
      <Views />
      <Together tasks={shown} chosen={chosen} choose={choose} />
      <HoldingRows value={hold}>
        <Rows list={list} of={(p) => p.tasks?.filter((task) => task.request)} id={(task) => task.id} empty={<Empty title={t("home.noTasks")} />}>
          {(task) => (
            <TaskLine
              task={task}
              before={
                <Check
                  aria-label={t("task.select", { name: name(task) })}
                  isSelected={chosen.has(task.id ?? "")}
                  onChange={(on) => toggle(task.id ?? "", on)}
                />
              }
            />
          )}
        </Rows>
      </HoldingRows>
    </Page>
  );
}
