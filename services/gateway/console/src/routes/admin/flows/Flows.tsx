import { Link } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { api } from "@/api/client";
import { useHasRole } from "@/api/me";
import { pageByPage } from "@/api/pages";
import { Empty } from "@/components/Empty";
import { Page } from "@/components/Page";
import { Row } from "@/components/Row";
import { Rows } from "@/components/Rows";
import { Tag } from "@/components/Tag";
import { useFlowWords } from "./words";

/** Who must approve what, flow by flow, in words. */
export function Flows() {
  const { t } = useTranslation();
  const changes = useHasRole("ROLE_ADMIN", "ROLE_IT_ADMIN");
  const found = api.useInfiniteQuery("get", "/v1/flows", { params: { query: { pageSize: 50 } } }, pageByPage);
  const all = found.data?.pages.flatMap((p) => p.flows ?? []) ?? [];
  const words = useFlowWords(all);
  const add = changes && (
    <Link to="/admin/flows/new" className="button" data-kind="main">
      {t("admin.flows.add")}
    </Link>
  );
  return (
    <Page title={t("admin.pages.flows")} lead={t("admin.flows.lead")} actions={add}>
      <Rows list={found} of={(p) => p.flows} id={(flow) => flow.id} empty={<Empty title={t("admin.flows.none")} />}>
        {(flow) => (
          <Row>
            <div className="what">
              <Link to="/admin/flows/$id" params={{ id: flow.id ?? "" }}>
                {flow.name}
              </Link>
              <span className="small">
                {words.trigger(flow)}. {words.audience(flow)}; {words.scope(flow)}.
              </span>
              <span className="quiet small">{words.steps(flow)}</span>
            </div>
            {!!flow.goneIds?.length && <Tag tone="warn">{t("admin.flows.gone", { count: flow.goneIds.length })}</Tag>}
            <Tag tone={flow.enabled ? "good" : "none"}>{t(flow.enabled ? "admin.flows.on" : "admin.flows.off")}</Tag>
          </Row>
        )}
      </Rows>
    </Page>
  );
}
