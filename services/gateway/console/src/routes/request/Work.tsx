import { useTranslation } from "react-i18next";
import { type AccessRequest, api } from "@/api/client";
import { HoldingRows, useHeld } from "@/components/held";
import { quoted } from "@/api/filter";
import { ProblemNote } from "@/components/ProblemNote";
import { WorkItemLine } from "@/components/WorkItemLine";

/** What the caller is to do by hand for a request; what they note goes into its history. */
export function Work({ request }: { request: AccessRequest }) {
  const { t } = useTranslation();
  const due = request.requiredActions?.some((action) => action === "REQUIRED_ACTION_PROVISION" || action === "REQUIRED_ACTION_ASSIGN");
  const items = api.useQuery("get", "/v1/workItems", { params: { query: { filter: `requestIds:${quoted(request.id ?? "")}`, pageSize: 50 } } }, { enabled: due });
  const { shown, hold } = useHeld((due && items.data?.workItems) || []);
  return (
    <>
      {items.error && <ProblemNote error={items.error} again={() => void items.refetch()} />}
      {shown.length > 0 && (
        <section className="stack tight" aria-labelledby="work">
          <h2 id="work">{t("task.work")}</h2>
          <HoldingRows value={hold}>
            <ul className="list">
              {shown.map((item) => (
                <WorkItemLine key={item.id} item={item} whose runs />
              ))}
            </ul>
          </HoldingRows>
        </section>
      )}
    </>
  );
}
