import { useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { client, type Integration } from "@/api/client";
import { useAppNames } from "@/api/names";
import { Problem } from "@/api/problem";
import { Button } from "@/components/Button";
import { Confirm } from "@/components/Confirm";
import { tell } from "@/components/Toasts";

/** Deletes an integration and its secret. While something hangs on it, it says what. */
export function DeleteIntegration({ integration }: { integration: Integration }) {
  const { t } = useTranslation();
  const queries = useQueryClient();
  const [use, setUse] = useState<Problem["metadata"]>();
  const apps = (use?.apps ?? "").split(",").map((id) => id.trim()).filter(Boolean);
  const names = useAppNames(apps);
  return (
    <Confirm
      trigger={
        <Button kind="danger" aria-label={t("admin.deleteWhat", { name: integration.name })}>
          {t("admin.delete")}
        </Button>
      }
      title={t("admin.deleteTitle", { name: integration.name })}
      action={t("admin.delete")}
      danger
      onOpen={() => setUse(undefined)}
      act={async () => {
        try {
          await client.DELETE("/v1/integrations/{id}", { params: { path: { id: integration.id ?? "" }, query: { etag: integration.etag } } });
          tell(t("admin.deleted", { name: integration.name }));
        } catch (e) {
          if (e instanceof Problem && e.reason === "INTEGRATION_IN_USE") setUse(e.metadata);
          throw e;
        } finally {
          await queries.invalidateQueries();
        }
      }}
    >
      <p>{t("admin.integrations.deleteText")}</p>
      {use && (
        <ul className="note" data-tone="warn">
          {apps.map((id) => (
            <li key={id}>
              {t("admin.integrations.usedBy")}{" "}
              <Link to="/admin/apps/$id" params={{ id }}>
                {names(id) ?? id}
              </Link>
            </li>
          ))}
          {Number(use.accounts ?? 0) > 0 && <li>{t("admin.integrations.accounts", { count: Number(use.accounts) })}</li>}
          {Number(use.operations ?? 0) > 0 && <li>{t("admin.integrations.operations", { count: Number(use.operations) })}</li>}
        </ul>
      )}
    </Confirm>
  );
}
