import { useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { client, type Flow } from "@/api/client";
import { fieldErrors } from "@/api/fields";
import { Problem } from "@/api/problem";
import { CheckField } from "@/components/CheckField";
import { Choice } from "@/components/Choice";
import { ProblemNote } from "@/components/ProblemNote";
import { Select } from "@/components/Select";
import { TextBox } from "@/components/TextBox";
import { tell } from "@/components/Toasts";
import { AudienceForm } from "./AudienceForm";
import { ConditionForm } from "./ConditionForm";
import { LimitsForm } from "./LimitsForm";
import { RequestersForm } from "./RequestersForm";
import { SaveFlow } from "./SaveFlow";
import { ScopeForm } from "./ScopeForm";
import { StepsForm } from "./StepsForm";
import { TryFlow } from "./TryFlow";
import { durationOf, fitting, flowMask, flowValues, lengthOf, type FlowValues } from "./values";

/** What can be set on a flow. What is wrong stands beside the field, also after the question whether to save. */
export function FlowForm({ flow }: { flow?: Flow }) {
  const { t } = useTranslation();
  const queries = useQueryClient();
  const navigate = useNavigate();
  const [seen] = useState(flow);
  const [values, setValues] = useState<FlowValues>(() => flowValues(flow));
  const [days, setDays] = useState(lengthOf(values.maxDuration));
  const [hours, setHours] = useState(lengthOf(values.unmatchAfter, "hours"));
  const [error, setError] = useState<unknown>();
  const set = <K extends keyof FlowValues>(name: K) => (value: FlowValues[K]) => setValues({ ...values, [name]: value });
  const join = values.trigger === "FLOW_TRIGGER_JOIN";
  const ofSteps = values.steps.flatMap((_, i) => (["name", "reviewers", "userIds", "groupIds", "needCount", "remindAfter", "escalateAfter"] as const).map((f) => `steps[${i}].${f}`));
  const ofFields = values.fields.flatMap((_, i) => (["label", "key", "help", "kind", "options"] as const).map((f) => `fields[${i}].${f}`));
  const errors = fieldErrors<string>(
    error,
    [...ofSteps, ...ofFields, "condition", "decideWithin", "minJustificationLength", "weeklyHours.timeZone", "weeklyHours.windows", "scope.categories", "scope.risks", "name", "audience.groupIds", "audience.userIds", "audience", "scope.appIds", "scope.entitlementIds", "scope", "steps", "maxDuration", "priority", "kinds", "onlyAudience", "requesters.groupIds", "requesters.userIds", "requesters", "unmatchAfter"],
    "flow",
  );
  const { enabled: on, ...asInput } = { ...fitting(values), maxDuration: values.maxDuration || undefined, unmatchAfter: fitting(values).unmatchAfter || undefined, decideWithin: fitting(values).decideWithin || undefined };
  const sent = { ...asInput, enabled: on };
  const save = async (updateMask: string, requestId: string) => {
    setError(undefined);
    try {
      let id = seen?.id;
      if (seen) {
        await client.PATCH("/v1/flows/{id}", { params: { path: { id: seen.id ?? "" }, query: { updateMask } }, body: { ...sent, etag: seen.etag } });
      } else {
        const { enabled, ...input } = sent;
        id = (await client.POST("/v1/flows", { body: { requestId, flow: { ...input, disabled: !enabled } } })).data?.flow?.id;
      }
      tell(t("admin.saved"));
      await queries.invalidateQueries();
      await navigate({ to: "/admin/flows/$id", params: { id: id ?? "" } });
    } catch (e) {
      if (!(e instanceof Problem) || Object.keys(e.fields).length === 0) throw e;
      setError(e);
    }
  };
  return (
    <div className="stack">
      <TextBox label={t("admin.name")} value={values.name} onChange={set("name")} isRequired error={errors.of.name} />
      <section className="card" aria-labelledby="trigger">
        <h2 id="trigger">{t("admin.flows.trigger")}</h2>
        <Choice
          label={t("admin.flows.trigger")}
          value={join ? "FLOW_TRIGGER_JOIN" : "FLOW_TRIGGER_REQUEST"}
          onChange={set("trigger")}
          choices={{ FLOW_TRIGGER_REQUEST: t("admin.flows.triggers.FLOW_TRIGGER_REQUEST"), FLOW_TRIGGER_JOIN: t("admin.flows.triggers.FLOW_TRIGGER_JOIN") }}
        />
        {!join && (
          <Select
            label={t("admin.flows.kinds")}
            error={errors.of.kinds}
            value={values.kinds.includes("REQUEST_KIND_REVOKE") ? (values.kinds.includes("REQUEST_KIND_GRANT") ? "both" : "revoke") : "grant"}
            onChange={(kind) => set("kinds")(kind === "grant" ? [] : kind === "revoke" ? ["REQUEST_KIND_REVOKE"] : ["REQUEST_KIND_GRANT", "REQUEST_KIND_REVOKE"])}
            choices={{ grant: t("request.grant"), revoke: t("request.revoke"), both: t("admin.flows.both") }}
          />
        )}
      </section>
      <AudienceForm value={values.audience} onChange={set("audience")} errors={errors.of}>
        {!join && <CheckField label={t("admin.flows.onlyAudience")} value={values.onlyAudience} onChange={set("onlyAudience")} error={errors.of.onlyAudience} />}
      </AudienceForm>
      {!join && <RequestersForm value={values.requesters} onChange={set("requesters")} errors={errors.of} />}
      <ScopeForm join={join} value={values.scope} onChange={set("scope")} errors={errors.of} />
      <ConditionForm join={join} value={values.condition} onChange={set("condition")} error={errors.of.condition} />
      <StepsForm values={values} onChange={setValues} errors={errors.of} />
      {!join && <LimitsForm values={values} onChange={setValues} errors={errors.of} />}
      <section className="card" aria-labelledby="more">
        <h2 id="more">{t("admin.flows.more")}</h2>
        <TextBox
          label={t("admin.flows.longestDays")}
          hint={t("admin.flows.longestHint")}
          inputMode="decimal"
          value={days}
          onChange={(next) => {
            setDays(next);
            set("maxDuration")(durationOf(next));
          }}
          error={errors.of.maxDuration}
        />
        <TextBox
          label={t("admin.flows.priority")}
          hint={t("admin.flows.priorityHint")}
          type="number"
          value={String(values.priority)}
          onChange={(next) => set("priority")(Math.trunc(Number(next)) || 0)}
          error={errors.of.priority}
        />
        {join && (
          <Select
            label={t("admin.flows.unmatch")}
            value={values.unmatchAction === "UNMATCH_ACTION_UNSPECIFIED" ? "UNMATCH_ACTION_TAKE_AWAY" : values.unmatchAction}
            onChange={set("unmatchAction")}
            choices={{
              UNMATCH_ACTION_TAKE_AWAY: t("admin.flows.unmatches.UNMATCH_ACTION_TAKE_AWAY"),
              UNMATCH_ACTION_ASK: t("admin.flows.unmatches.UNMATCH_ACTION_ASK"),
              UNMATCH_ACTION_KEEP: t("admin.flows.unmatches.UNMATCH_ACTION_KEEP"),
            }}
          />
        )}
        {join && values.unmatchAction !== "UNMATCH_ACTION_KEEP" && (
          <TextBox
            label={t("admin.flows.waits")}
            hint={t("admin.flows.waitsHint")}
            inputMode="decimal"
            value={hours}
            onChange={(next) => {
              setHours(next);
              set("unmatchAfter")(durationOf(next, "hours"));
            }}
            error={errors.of.unmatchAfter}
          />
        )}
        <CheckField label={t("admin.flows.enabled")} value={values.enabled} onChange={set("enabled")} />
      </section>
      <TryFlow seen={seen} flow={{ ...asInput, disabled: !on }} />
      {error !== undefined && <ProblemNote error={error} shown={errors.shown} />}
      <SaveFlow seen={seen} flow={sent} input={{ ...asInput, disabled: !on }} updateMask={seen ? flowMask(seen, values) : ""} save={save} />
    </div>
  );
}
