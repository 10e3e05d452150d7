import { useTranslation } from "react-i18next";
import type { Flow, FlowStep } from "@/api/client";
import { useAppNames, useEntitlementNames, useGroupNames, useUserNames } from "@/api/names";

/** Who may ask by a flow, beside those it names. */
export const requesterKinds = ["beneficiary", "managers", "appAdmins", "admins", "everyone"] as const;

/** Says what flows are about, in words. */
export function useFlowWords(flows: readonly Flow[]) {
  const { t, i18n } = useTranslation();
  const steps = flows.flatMap((f) => f.steps ?? []);
  const users = useUserNames([...flows.flatMap((f) => [...(f.audience?.userIds ?? []), ...(f.requesters?.userIds ?? [])]), ...steps.flatMap((s) => s.userIds ?? [])]);
  const groups = useGroupNames([...flows.flatMap((f) => [...(f.audience?.groupIds ?? []), ...(f.requesters?.groupIds ?? [])]), ...steps.flatMap((s) => s.groupIds ?? [])]);
  const apps = useAppNames(flows.flatMap((f) => f.scope?.appIds ?? []));
  const entitlements = useEntitlementNames(flows.flatMap((f) => f.scope?.entitlementIds ?? []));
  const list = (parts: string[]) => new Intl.ListFormat(i18n.language, { type: "conjunction" }).format(parts);
  const step = (s: FlowStep): string => {
    const named = [...(s.userIds ?? []).map((id) => users(id) ?? id), ...(s.groupIds ?? []).map((id) => groups(id) ?? id)];
    const who = named.length > 0 ? list(named) : t(`admin.flows.reviewers.${s.reviewers ?? "REVIEWER_KIND_UNSPECIFIED"}`);
    return `${who}: ${t(`admin.flows.needs.${s.need ?? "STEP_NEED_UNSPECIFIED"}`, { n: s.needCount })}`;
  };
  return {
    step,
    trigger: (f: Flow) => t(`admin.flows.triggers.${f.trigger ?? "FLOW_TRIGGER_UNSPECIFIED"}`),
    audience: (f: Flow) => {
      if (f.audience?.everyone) return t("admin.flows.forEveryone");
      const named = [...(f.audience?.groupIds ?? []).map((id) => groups(id) ?? id), ...(f.audience?.userIds ?? []).map((id) => users(id) ?? id)];
      return t("admin.flows.for", { names: list(named) });
    },
    requesters: ({ requesters: r }: Flow) => {
      if (!r) return t("admin.flows.usualRequesters");
      const kinds = requesterKinds.filter((k) => r[k]).map((k) => t(`admin.flows.requesterKinds.${k}`));
      const named = [...(r.groupIds ?? []).map((id) => groups(id) ?? id), ...(r.userIds ?? []).map((id) => users(id) ?? id)];
      return list([...kinds, ...named]) || t("admin.flows.nobodyAsks");
    },
    scope: (f: Flow) => {
      const risks = f.scope?.risks?.length ? ` (${t("admin.flows.risks")}: ${f.scope.risks.map((r) => t(`risks.${r}`)).join(", ")})` : "";
      if (f.scope?.any) return t("admin.flows.anyApp") + risks;
      return list([...(f.scope?.categories ?? []).map((name) => t("admin.flows.category", { name })), ...(f.scope?.appIds ?? []).map((id) => t("admin.flows.allOf", { name: apps(id) ?? id })), ...(f.scope?.entitlementIds ?? []).map((id) => entitlements(id) ?? id)]) + risks;
    },
    steps: (f: Flow) => (f.autoApprove ? t("admin.flows.byItself") : t("admin.flows.approvedBy", { steps: (f.steps ?? []).map((s) => s.name).join(" → ") })),
  };
}
