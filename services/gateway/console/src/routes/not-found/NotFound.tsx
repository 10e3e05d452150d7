import { Link } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { Empty } from "@/components/Empty";
import { Page } from "@/components/Page";

export function NotFound() {
  const { t } = useTranslation();
  return (
    <main className="welcome">
      <Page title={t("notFound.title")}>
      <Empty title={t("notFound.text")}>
        <Link to="/" className="button">
          {t("nav.home")}
        </Link>
      </Empty>
      </Page>
    </main>
  );
}
