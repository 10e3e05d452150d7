import { Link, Outlet } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { useMe } from "@/api/me";
import { Empty } from "@/components/Empty";
import { Page } from "@/components/Page";
import { adminPages, adminRoles } from "./pages";

/** What stands around the pages for admins. Anybody else is told that this place is not for them. */
export function Admin() {
  const { t } = useTranslation();
  const role = useMe().data?.user?.role;
  if (role === undefined || !adminRoles.includes(role)) {
    return (
      <Page title={t("admin.notYours")}>
        <Empty title={t("admin.notYoursText")}>
          <Link to="/" className="button">
            {t("admin.portal")}
          </Link>
        </Empty>
      </Page>
    );
  }
  return (
    <div className="stack">
      <nav className="tabs" aria-label={t("admin.label")}>
        {adminPages
          .filter((page) => page.roles.includes(role))
          .map((page) => (
            <Link key={page.name} to={page.to} activeOptions={{ exact: page.to === "/admin" }}>
              {t(`admin.pages.${page.name}`)}
            </Link>
          ))}
      </nav>
      <Outlet />
    </div>
  );
}
