import { useTranslation } from "react-i18next";
import type { Route, RouteStep } from "@/api/client";
import { Tag } from "./Tag";

/** As many people of a step are named; of the others how many they are. */
const named = 5;

/** Who would decide, step by step. */
export function RouteSteps({ route }: { route: Route }) {
  const { t } = useTranslation();
  const people = usePeople();
  if (route.automatic) return <span className="quiet small">{t("route.automatic")}</span>;
  return (
    <ol className="route small" aria-label={t("route.label")}>
      {route.steps?.map((step, i) => {
        const why = step.reviewers?.[0]?.substitution;
        return (
          <li key={i}>
            {step.name}: {step.vacancy ? <Tag tone="warn">{t("request.nobody")}</Tag> : people(step)}
            {(step.vacancy || why) && <span className="quiet"> ({step.vacancy?.reason ?? why})</span>}
          </li>
        );
      })}
    </ol>
  );
}

/** Says whom a step asks: one of some people, all of them, or how many. */
function usePeople() {
  const { t, i18n } = useTranslation();
  return (step: RouteStep): string => {
    const names = (step.reviewers ?? []).slice(0, named).map((r) => r.person?.displayName ?? "");
    const count = step.reviewerCount ?? names.length;
    const needed = step.neededApprovals ?? 1;
    if (count > names.length) names.push(t("route.more", { count: count - names.length }));
    if (needed > 1 && needed < count) return t("route.of", { needed, names: names.join(", ") });
    return new Intl.ListFormat(i18n.language, { type: needed < count ? "disjunction" : "conjunction" }).format(names);
  };
}
