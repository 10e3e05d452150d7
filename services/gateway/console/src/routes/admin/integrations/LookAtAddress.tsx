import { useState } from "react";
import { useTranslation } from "react-i18next";
import { api, type Integration } from "@/api/client";
import { quoted } from "@/api/filter";
import { ProblemNote } from "@/components/ProblemNote";
import { SelectOrNone } from "@/components/Select";
import { LookFirst } from "./LookFirst";

/** Looks what the apps of an integration would find at another address, one app after the other. */
export function LookAtAddress({ integration, baseUrl, token }: { integration: Integration; baseUrl: string; token: string }) {
  const { t } = useTranslation();
  const [id, choose] = useState<string>();
  const filter = `integrationId = ${quoted(integration.id ?? "")}`;
  const found = api.useQuery("get", "/v1/apps", { params: { query: { filter, pageSize: 1000 } } });
  const apps = found.data?.apps ?? [];
  const app = apps.length === 1 ? apps[0] : apps.find((one) => one.id === id);
  if (found.error) return <ProblemNote error={found.error} again={() => void found.refetch()} />;
  if (apps.length === 0) return null;
  if (token === "" || baseUrl === "") return <p className="quiet small">{t("admin.look.needsToken")}</p>;
  return (
    <>
      {apps.length > 1 && <SelectOrNone label={t("admin.look.app")} value={id} onChange={choose} choices={apps.map((one) => [one.id ?? "", one.name ?? ""])} />}
      {app && <LookFirst key={JSON.stringify([app.id, baseUrl, token])} app={app} rules={app} at={{ scim: { baseUrl, token } }} moves />}
    </>
  );
}
