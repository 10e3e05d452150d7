import { Link } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { Empty } from "@/components/Empty";
import { Page } from "@/components/Page";

/** Tells somebody that a place is for admins. */
export function NotYours() {
  const { t } = useTranslation();
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
