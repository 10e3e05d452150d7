import { useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { api, client, type Flow } from "@/api/client";
import { Button } from "@/components/Button";
import { Choice } from "@/components/Choice";
import { Confirm } from "@/components/Confirm";
import { Loading } from "@/components/Loading";
import { ProblemNote } from "@/components/ProblemNote";
import { TextBox } from "@/components/TextBox";
import { Time } from "@/components/Time";
import { tell } from "@/components/Toasts";
import { Concerned } from "./SaveFlow";

/** Deletes a flow, after showing what hangs on it and asking what becomes of that. */
export function DeleteFlow({ flow }: { flow: Flow }) {
  const { t } = useTranslation();
  const queries = useQueryClient();
  const navigate = useNavigate();
  const [open, setOpen] = useState(false);
  const [requests, setRequests] = useState<"FLOW_REQUESTS_KEEP" | "FLOW_REQUESTS_CANCEL">("FLOW_REQUESTS_KEEP");
  const [matches, setMatches] = useState<"FLOW_MATCHES_KEEP" | "FLOW_MATCHES_TAKE_BACK">("FLOW_MATCHES_KEEP");
  const [reason, setReason] = useState("");
  const preview = api.useQuery("get", "/v1/flows/{id}:previewDelete", { params: { path: { id: flow.id ?? "" } } }, { enabled: open, staleTime: 0 });
  const found = preview.data;
  return (
    <Confirm
      trigger={<Button kind="danger">{t("admin.delete")}</Button>}
      title={t("admin.deleteTitle", { name: flow.name })}
      fields={["reason"]}
      action={t("admin.delete")}
      danger
      ready={found !== undefined && (requests === "FLOW_REQUESTS_KEEP" || reason.trim() !== "")}
      onOpen={() => {
        setOpen(true);
        setRequests("FLOW_REQUESTS_KEEP");
        setMatches("FLOW_MATCHES_KEEP");
        setReason("");
        if (open) void preview.refetch();
      }}
      act={async () => {
        try {
          await client.DELETE("/v1/flows/{id}", { params: { path: { id: flow.id ?? "" }, query: { etag: found?.etag, requests, matches, reason: reason.trim() } } });
        } catch (e) {
          void preview.refetch();
          throw e;
        }
        setOpen(false);
        tell(t("admin.deleted", { name: flow.name }));
        await navigate({ to: "/admin/flows" });
        await queries.invalidateQueries();
      }}
    >
      {(errors) => (
        <>
          <p>{t("admin.flows.deleteText")}</p>
          {preview.isPending && <Loading rows={2} />}
          {preview.error && <ProblemNote error={preview.error} again={() => void preview.refetch()} />}
          {found && (
            <div className="note stack tight">
              <p>{t("admin.flows.openRequests", { count: found.openRequestCount ?? 0 })}</p>
              {!!found.openRequests?.length && (
                <ul>
                  {found.openRequests.map((r) => (
                    <li key={r.id}>
                      <Link to="/requests/$id" params={{ id: r.id ?? "" }}>
                        {t("request.for", { name: r.beneficiary?.displayName })}, <Time at={r.createTime ?? ""} />
                      </Link>
                    </li>
                  ))}
                </ul>
              )}
              {flow.trigger === "FLOW_TRIGGER_JOIN" && <Concerned title={t("admin.flows.wouldLose", { count: found.matchedCount ?? 0 })} people={found.matchedUsers} />}
            </div>
          )}
          {!!found?.openRequestCount && (
            <Choice
              label={t("admin.flows.openRequestsLabel")}
              value={requests}
              onChange={setRequests}
              choices={{ FLOW_REQUESTS_KEEP: t("admin.flows.requestsKeep"), FLOW_REQUESTS_CANCEL: t("admin.flows.requestsCancel") }}
            />
          )}
          {!!found?.matchedCount && flow.unmatchAction !== "UNMATCH_ACTION_KEEP" && (
            <Choice
              label={t("admin.flows.matchesLabel")}
              value={matches}
              onChange={setMatches}
              choices={{ FLOW_MATCHES_KEEP: t("admin.flows.matchesKeep"), FLOW_MATCHES_TAKE_BACK: t("admin.flows.matchesTakeBack") }}
            />
          )}
          {requests === "FLOW_REQUESTS_CANCEL" && <TextBox label={t("task.reason")} hint={t("admin.flows.reasonHint")} lines value={reason} onChange={setReason} isRequired error={errors.reason} />}
        </>
      )}
    </Confirm>
  );
}
