import { Checkbox, CheckboxGroup } from "react-aria-components";
import { useTranslation } from "react-i18next";
import { api, type Entitlement } from "@/api/client";
import { pageByPage } from "@/api/pages";
import { AppIcon } from "@/components/AppIcon";
import { Button } from "@/components/Button";
import { Loading } from "@/components/Loading";
import { More } from "@/components/More";
import { ProblemNote } from "@/components/ProblemNote";
import { RiskTag } from "@/components/RiskTag";

interface Props {
  app: string;
  chosen: readonly Entitlement[];
  onChange: (chosen: Entitlement[]) => void;
  onRemove: () => void;
}

/** What can be asked for in one app. */
export function AppItems({ app, chosen, onChange, onRemove }: Props) {
  const { t } = useTranslation();
  const found = api.useQuery("get", "/v1/apps/{id}", { params: { path: { id: app } } });
  const list = api.useInfiniteQuery("get", "/v1/apps/{app_id}/entitlements", { params: { path: { app_id: app }, query: { pageSize: 200 } } }, pageByPage);
  const all = list.data?.pages.flatMap((p) => p.entitlements ?? []) ?? [];
  const error = found.error ?? list.error;
  return (
    <div className="stack tight">
      <div className="row apart">
        <div className="named">
          {found.data?.app && <AppIcon small name={found.data.app.name} icon={found.data.app.icon} />}
          <h3>{found.data?.app?.name}</h3>
        </div>
        <Button kind="plain" onPress={onRemove} aria-label={t("ask.removeApp", { name: found.data?.app?.name })}>
          {t("ask.remove")}
        </Button>
      </div>
      {(found.isPending || list.isPending) && <Loading />}
      {error && <ProblemNote error={error} />}
      <CheckboxGroup
        className="choices"
        aria-label={found.data?.app?.name ?? t("ask.what")}
        value={chosen.filter((e) => e.appId === app).map((e) => e.id ?? "")}
        onChange={(ids) => onChange(all.filter((e) => ids.includes(e.id ?? "")))}
      >
        {all.map((e) => (
          <Checkbox key={e.id} value={e.id} className="choice">
            <span className="mark" aria-hidden />
            <span className="what">
              <span>{e.name}</span>
              {e.description && <span className="quiet small"> — {e.description}</span>} <RiskTag risk={e.risk} />
            </span>
          </Checkbox>
        ))}
      </CheckboxGroup>
      <More list={list} />
    </div>
  );
}
