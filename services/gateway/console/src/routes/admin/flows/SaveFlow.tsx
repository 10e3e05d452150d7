import { Link } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { api, type Flow, type FlowInput, type Person } from "@/api/client";
import { Button } from "@/components/Button";
import { Confirm } from "@/components/Confirm";
import { Loading } from "@/components/Loading";
import { ProblemNote } from "@/components/ProblemNote";
import { Effects } from "./Effects";

interface Props {
  seen?: Flow;
  flow: Flow;
  /** The same as a draft. */
  input: FlowInput;
  updateMask: string;
  save: (updateMask: string, requestId: string) => Promise<void>;
}

/** Asks before a flow is saved: whom it would ask, what else could claim the same, and of a join-flow whom the change would concern. */
export function SaveFlow({ seen, flow, input, updateMask, save }: Props) {
  const { t } = useTranslation();
  const preview = api.useMutation("post", "/v1/flows/{id}:previewUpdate");
  const effects = api.useMutation("post", "/v1/flows:preview");
  const looks = seen !== undefined && flow.trigger === "FLOW_TRIGGER_JOIN";
  return (
    <div className="row">
      <Confirm
        trigger={
          <Button kind="main" isDisabled={flow.name === "" || (seen !== undefined && updateMask === "")}>
            {t("save")}
          </Button>
        }
        title={t("admin.flows.saveTitle", { name: flow.name })}
        action={t("save")}
        onOpen={() => {
          preview.reset();
          effects.mutate({ body: { draft: { id: seen?.id, flow: input } } });
          if (looks) preview.mutate({ params: { path: { id: seen.id ?? "" } }, body: { flow: { ...flow, etag: seen.etag }, updateMask } });
        }}
        act={(requestId) => save(updateMask, requestId)}
      >
        <p>{t(seen ? "admin.flows.saveText" : "admin.flows.makeText")}</p>
        {(preview.isPending || effects.isPending) && <Loading rows={2} />}
        {effects.error && <ProblemNote error={effects.error} />}
        {effects.data && <Effects preview={effects.data} />}
        {preview.error && <ProblemNote error={preview.error} />}
        {preview.data && (
          <div className="note stack tight" data-tone={preview.data.unmatchedCount ? "warn" : undefined}>
            <Concerned title={t("admin.flows.matched", { count: preview.data.matchedCount ?? 0 })} people={preview.data.matchedUsers} />
            <Concerned title={t("admin.flows.unmatched", { count: preview.data.unmatchedCount ?? 0 })} people={preview.data.unmatchedUsers} />
          </div>
        )}
      </Confirm>
      {seen ? (
        <Link to="/admin/flows/$id" params={{ id: seen.id ?? "" }} className="button">
          {t("cancel")}
        </Link>
      ) : (
        <Link to="/admin/flows" className="button">
          {t("cancel")}
        </Link>
      )}
    </div>
  );
}

/** How many people, and the first of them. */
export function Concerned({ title, people = [] }: { title: string; people?: readonly Person[] }) {
  return (
    <p>
      {title} <span className="small">{people.map((p) => p.displayName).join(", ")}</span>
    </p>
  );
}
