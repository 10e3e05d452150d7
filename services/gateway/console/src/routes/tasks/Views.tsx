import { Link } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { useHasRole } from "@/api/me";

/** What the caller has to do with: to decide, to do in the apps that they run, and the requests about all of it. */
export function Views() {
  const { t } = useTranslation();
  // Whoever is external runs no app.
  const external = useHasRole("ROLE_EXTERNAL");
  return (
    <nav className="tabs" aria-label={t("nav.tasks")}>
      <Link to="/tasks" activeOptions={{ exact: true }}>
        {t("task.views.decide")}
      </Link>
      {([...(external ? [] : (["work"] as const)), "open", "closed"] as const).map((view) => (
        <Link key={view} to="/tasks/$view" params={{ view }}>
          {t(`task.views.${view}`)}
        </Link>
      ))}
      <Link to="/delegations">{t("delegations.title")}</Link>
    </nav>
  );
}
