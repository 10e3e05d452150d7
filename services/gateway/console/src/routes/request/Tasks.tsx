import { useState } from "react";
import { useTranslation } from "react-i18next";
import { type AccessRequest, api } from "@/api/client";
import { useHasRole, useMe } from "@/api/me";
import { Decide } from "@/components/Decide";
import { DecisionContext } from "@/components/DecisionContext";
import { HoldingRows, useHeld } from "@/components/held";
import { ProblemNote } from "@/components/ProblemNote";
import { TextBox } from "@/components/TextBox";
import { Time } from "@/components/Time";
import { Reassign } from "./Reassign";

/** Who is asked to decide about a request: the caller, and, for those who see all, the others. */
export function Tasks({ request }: { request: AccessRequest }) {
  const { t } = useTranslation();
  const [words, setWords] = useState("");
  const me = useMe().data?.user?.id;
  const gives = useHasRole("ROLE_ADMIN", "ROLE_IT_ADMIN");
  const tasks = api.useQuery("get", "/v1/tasks", { params: { query: { requestId: request.id, state: "TASK_STATE_OPEN", pageSize: 100 } } });
  const all = tasks.data?.tasks ?? [];
  const { shown: mine, hold } = useHeld(all.filter((task) => task.reviewer?.userId === me));
  const others = all.filter((task) => task.reviewer?.userId !== me);
  const asked = (request.items ?? []).filter((i) => mine.some((task) => task.itemIds?.includes(i.id ?? "")));
  return (
    <>
      {tasks.error && <ProblemNote error={tasks.error} again={() => void tasks.refetch()} />}
      {mine.length > 0 && (
        <section className="card" aria-labelledby="mine">
          <h2 id="mine">{t("task.yours")}</h2>
          <TextBox label={t("task.withAction")} hint={t("task.withActionHint")} lines value={words} onChange={setWords} />
          {mine.map((task) => (
            <div key={task.id} className="row apart">
              <span>
                {task.stepName}
                {task.onBehalfOf && <span className="small"> · {t("task.onBehalf", { name: task.onBehalfOf.displayName })}</span>}
                {task.substitution && <span className="quiet small"> · {task.substitution}</span>}
              </span>
              <div className="row">
                <HoldingRows value={hold}>
                  <Decide task={task} begun={words.trim()} onDecided={() => setWords("")} />
                </HoldingRows>
                <Reassign task={task} />
              </div>
            </div>
          ))}
          <h3>{t("context.title")}</h3>
          <DecisionContext id={request.id ?? ""} items={asked.length > 0 ? asked : (request.items ?? [])} />
        </section>
      )}
      {others.length > 0 && (
        <section className="stack tight" aria-labelledby="asked">
          <h2 id="asked">{t("task.others")}</h2>
          <ul className="list">
            {others.map((task) => (
              <li key={task.id}>
                <div className="what">
                  <span>
                    {task.reviewer?.displayName}
                    {task.onBehalfOf && <span className="small"> · {t("task.onBehalf", { name: task.onBehalfOf.displayName })}</span>}
                  </span>
                  <span className="quiet small">
                    {task.stepName} · <Time at={task.createTime ?? ""} relative />
                    {task.substitution && ` · ${task.substitution}`}
                    {task.lastRemindedTime && (
                      <>
                        {" · "}
                        {t("task.remindedAt")} <Time at={task.lastRemindedTime} relative />
                      </>
                    )}
                    {task.escalateTime && (
                      <>
                        {" · "}
                        {t("task.escalatesAt")} <Time at={task.escalateTime} />
                      </>
                    )}
                  </span>
                </div>
                {gives && <Reassign task={task} />}
              </li>
            ))}
          </ul>
        </section>
      )}
    </>
  );
}
