import { useTranslation } from "react-i18next";
import { api } from "@/api/client";
import { Button } from "@/components/Button";
import { Loading } from "@/components/Loading";
import { ProblemNote } from "@/components/ProblemNote";
import { ItemNames } from "@/routes/catalog/BundleCards";

/** A bundle that is asked for, with what it has. */
export function BundleItems({ bundle, onRemove }: { bundle: string; onRemove: () => void }) {
  const { t } = useTranslation();
  const found = api.useQuery("get", "/v1/bundles/{id}", { params: { path: { id: bundle } } });
  const b = found.data?.bundle;
  return (
    <div className="stack tight">
      <div className="row apart">
        <h3>{b?.name}</h3>
        <Button kind="plain" onPress={onRemove} aria-label={t("ask.removeApp", { name: b?.name })}>
          {t("ask.remove")}
        </Button>
      </div>
      {found.isPending && <Loading rows={1} />}
      {found.error && <ProblemNote error={found.error} />}
      {b && <ItemNames items={b.items?.filter((i) => !b.goneIds?.includes(i.entitlementId ?? "")) ?? []} />}
    </div>
  );
}
