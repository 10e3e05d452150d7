import { Link, Outlet } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { useMe } from "@/api/me";
import { NotYours } from "./NotYours";
import { adminPages, adminRoles } from "./pages";

/** What stands around the pages for admins. Anybody else is told that this place is not for them. */
export function Admin() {
  const { t } = useTranslation();
  const role = useMe().data?.user?.role;
  if (role === undefined || !adminRoles.includes(role)) {
    return <NotYours />;
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
