import type { Flow } from "@/api/client";
import { maskOf } from "@/api/mask";

/** What a form changes of a flow. */
export type FlowValues = Required<Pick<Flow, "name" | "trigger" | "kinds" | "audience" | "scope" | "autoApprove" | "steps" | "priority" | "enabled" | "onlyAudience" | "unmatchAction" | "condition" | "distinctReviewers" | "minJustificationLength" | "fields">> & {
  /** Empty means no limit. */
  maxDuration: string;
  /** Empty means at once. */
  unmatchAfter: string;
  /** Empty means without limit. */
  decideWithin: string;
  /** Undefined: who may ask without a flow. */
  requesters: Flow["requesters"];
  /** Undefined: access may be asked for at any time. */
  weeklyHours: Flow["weeklyHours"];
};

/** About nothing yet. */
const noScope: Flow["scope"] & object = { any: false, appIds: [], entitlementIds: [], categories: [], risks: [] };

export function flowValues(flow?: Flow): FlowValues {
  return {
    name: flow?.name ?? "",
    trigger: flow?.trigger ?? "FLOW_TRIGGER_REQUEST",
    kinds: flow?.kinds ?? [],
    audience: flow?.audience ?? { everyone: true, groupIds: [], userIds: [] },
    scope: flow?.scope ?? noScope,
    autoApprove: flow?.autoApprove ?? false,
    steps: flow?.steps ?? [{ name: "", reviewers: "REVIEWER_KIND_MANAGER", need: "STEP_NEED_ANY", userIds: [], groupIds: [], needCount: 0 }],
    priority: flow?.priority ?? 0,
    maxDuration: flow?.maxDuration ?? "",
    enabled: flow?.enabled ?? true,
    onlyAudience: flow?.onlyAudience ?? false,
    unmatchAction: flow?.unmatchAction ?? "UNMATCH_ACTION_UNSPECIFIED",
    unmatchAfter: flow?.unmatchAfter ?? "",
    decideWithin: flow?.decideWithin ?? "",
    requesters: flow?.requesters ?? undefined,
    condition: flow?.condition ?? "",
    distinctReviewers: flow?.distinctReviewers ?? false,
    minJustificationLength: flow?.minJustificationLength ?? 0,
    fields: flow?.fields ?? [],
    weeklyHours: flow?.weeklyHours ?? undefined,
  };
}

/** The values without what does not go with the others, such as the steps of a flow that approves by itself. */
export function fitting(values: FlowValues): FlowValues {
  const join = values.trigger === "FLOW_TRIGGER_JOIN";
  return {
    ...values,
    name: values.name.trim(),
    kinds: join ? [] : values.kinds,
    onlyAudience: join ? false : values.onlyAudience,
    unmatchAction: join ? values.unmatchAction : "UNMATCH_ACTION_UNSPECIFIED",
    unmatchAfter: join && values.unmatchAction !== "UNMATCH_ACTION_KEEP" ? values.unmatchAfter : "",
    requesters: join ? undefined : values.requesters?.everyone ? { ...values.requesters, groupIds: [], userIds: [] } : values.requesters,
    audience: values.audience.everyone ? { everyone: true, groupIds: [], userIds: [] } : values.audience,
    scope: join
      ? { ...noScope, entitlementIds: values.scope.entitlementIds }
      : values.scope.any
        ? { ...noScope, any: true, risks: values.scope.risks }
        : values.scope,
    condition: values.condition.trim(),
    decideWithin: values.autoApprove ? "" : values.decideWithin,
    distinctReviewers: !values.autoApprove && values.distinctReviewers,
    minJustificationLength: join ? 0 : values.minJustificationLength,
    fields: join ? [] : values.fields.map((field) => ({ ...field, options: field.kind === "FLOW_FIELD_KIND_CHOICE" ? (field.options ?? []).map((o) => o.trim()).filter((o) => o !== "") : [] })),
    weeklyHours: join ? undefined : values.weeklyHours,
    steps: values.autoApprove
      ? []
      : values.steps.map((step) => ({
          ...step,
          userIds: step.reviewers === "REVIEWER_KIND_USERS" ? step.userIds : [],
          groupIds: step.reviewers === "REVIEWER_KIND_GROUPS" ? step.groupIds : [],
          needCount: step.need === "STEP_NEED_COUNT" ? step.needCount : 0,
        })),
  };
}

/** The update_mask of what would be saved instead of what was seen. */
export function flowMask(seen: Flow, values: FlowValues): string {
  return maskOf(flowValues(seen), fitting(values));
}

const seconds = { days: 86_400, hours: 3_600 };

/** Days or hours of a duration of the API, such as "86400s". */
export function lengthOf(duration: string, unit: keyof typeof seconds = "days"): string {
  return duration === "" ? "" : String(Number.parseFloat(duration) / seconds[unit]);
}

/** A duration of the API of days or hours; empty for none. */
export function durationOf(length: string, unit: keyof typeof seconds = "days"): string {
  const n = Number(length.replace(",", "."));
  return length.trim() === "" || !(n > 0) ? "" : `${Math.round(n * seconds[unit])}s`;
}
