import { Link, Outlet, useLocation } from "@tanstack/react-router";
import { useLayoutEffect, useRef } from "react";
import { useTranslation } from "react-i18next";
import { useMe, useWhole } from "@/api/me";
import { NotYours } from "./NotYours";
import { adminPages, adminRoles } from "./pages";

/** What stands around the pages for admins. Anybody else is told that this place is not for them. */
export function Admin() {
  const { t } = useTranslation();
  const role = useMe().data?.user?.role;
  const whole = useWhole();
  const path = useLocation({ select: (location) => location.pathname });
  const menu = useRef<HTMLElement>(null);
  // Above the page the menu is wider than most windows: where one is stands in view. The page itself is not scrolled by that.
  useLayoutEffect(() => {
    const here = menu.current?.querySelector('[aria-current="page"]');
    if (!menu.current || !here) return;
    const [all, one] = [menu.current.getBoundingClientRect(), here.getBoundingClientRect()];
    menu.current.scrollLeft += one.left + one.width / 2 - (all.left + all.width / 2);
  }, [path, role]);
  if (role === undefined || !adminRoles.includes(role)) {
    return <NotYours />;
  }
  return (
    <div className="admin">
      <nav className="tabs" aria-label={t("admin.label")} ref={menu}>
        {adminPages
          .filter((page) => page.roles.includes(role) && (whole || !page.whole))
          .map((page) => (
            <Link key={page.name} to={page.to} activeOptions={{ exact: page.to === "/admin" }}>
              {t(`admin.pages.${page.name}`)}
            </Link>
          ))}
      </nav>
      <div className="stack">
        <Outlet />
      </div>
    </div>
  );
}
