import { useTranslation } from "react-i18next";

/** Stands where a list or a page is about to be. */
export function Loading({ rows = 3 }: { rows?: number }) {
  const { t } = useTranslation();
  return (
    <div className="stack" role="status">
      <span className="hidden">{t("loading")}</span>
      {Array.from({ length: rows }, (_, i) => (
        <div key={i} className="skeleton" />
      ))}
    </div>
  );
}
