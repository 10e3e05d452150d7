import { Link } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { useHasRole } from "@/api/me";
import { CountOf } from "@/components/CountOf";
import { ticketViews } from "./ticketViews";

/** What the caller has to do with: to decide, to do in the apps that they run, and the requests about all of it. */
export function Views({ q }: { q?: string }) {
  const { t } = useTranslation();
  // Whoever is external runs no app.
  const external = useHasRole("ROLE_EXTERNAL");
  return (
    <nav className="tabs" aria-label={t("nav.tasks")}>
      <Link to="/tasks" activeOptions={{ exact: true }}>
        {t("task.views.decide")}
      </Link>
      {!external && (
        <Link to="/tasks/$view" params={{ view: "work" }} search={{}}>
          {t("task.views.work")}
        </Link>
      )}
      {(Object.keys(ticketViews) as (keyof typeof ticketViews)[]).map((view) => (
        <Link key={view} to="/tasks/$view" params={{ view }} search={{ q }}>
          {t(`task.views.${view}`)}
          <CountOf query={{ view: ticketViews[view], search: q }} />
        </Link>
      ))}
      <Link to="/delegations">{t("delegations.title")}</Link>
    </nav>
  );
}
