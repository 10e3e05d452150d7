import { useQueryClient } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { api, type ApiToken, client } from "@/api/client";
import { pageByPage } from "@/api/pages";
import { Button } from "@/components/Button";
import { Confirm } from "@/components/Confirm";
import { Empty } from "@/components/Empty";
import { Page } from "@/components/Page";
import { Row } from "@/components/Row";
import { Rows } from "@/components/Rows";
import { Tag } from "@/components/Tag";
import { Time } from "@/components/Time";
import { tell } from "@/components/Toasts";
import { Who } from "@/components/Who";
import { AddToken } from "./AddToken";
import { standing } from "./standing";

/** The API tokens that the caller may see, newest first: an admin all of the organization. */
export function Tokens() {
  const { t } = useTranslation();
  const tokens = api.useInfiniteQuery("get", "/v1/apiTokens", { params: { query: { pageSize: 50 } } }, { ...pageByPage });
  return (
    <Page title={t("admin.pages.tokens")} lead={t("admin.tokens.lead")} actions={<AddToken />}>
      <Rows list={tokens} of={(p) => p.apiTokens} id={(token) => token.id} empty={<Empty title={t("admin.tokens.none")} />}>
        {(token) => <TokenLine token={token} />}
      </Rows>
    </Page>
  );
}

const tones = { valid: "good", expired: "none", revoked: "none" } as const;

function TokenLine({ token }: { token: ApiToken }) {
  const { t } = useTranslation();
  const queries = useQueryClient();
  const state = standing(token, new Date());
  const revoke = async () => {
    await client.POST("/v1/apiTokens/{id}:revoke", { params: { path: { id: token.id ?? "" } } });
    tell(t("admin.tokens.revokedIt", { name: token.name }));
    await queries.invalidateQueries();
  };
  return (
    <Row>
      <div className="what">
        <span>{token.name}</span>
        <span className="small">
          <code>{token.prefix}…</code> · {t("admin.tokens.actsAs")} <Who id={token.userId ?? ""} />
        </span>
        <span className="quiet small">
          {token.scopes?.length ? token.scopes.join(", ") : t("admin.tokens.everything")}
          {token.readOnly && `, ${t("admin.tokens.readOnlyShort")}`}
        </span>
        <span className="quiet small">
          {token.lastUseTime ? (
            <>
              {t("admin.people.lastUsed")} <Time at={token.lastUseTime} relative />
            </>
          ) : (
            t("admin.tokens.neverUsed")
          )}
          {" · "}
          {token.revokeTime ? t("admin.tokens.states.revoked") : t("ends")} <Time at={token.revokeTime ?? token.expireTime ?? ""} />
        </span>
      </div>
      <Tag tone={tones[state]}>{t(`admin.tokens.states.${state}`)}</Tag>
      {state === "valid" && (
        <Confirm
          trigger={
            <Button kind="danger" aria-label={t("admin.tokens.revokeOf", { name: token.name })}>
              {t("admin.tokens.revoke")}
            </Button>
          }
          title={t("admin.tokens.revokeTitle", { name: token.name })}
          action={t("admin.tokens.revoke")}
          danger
          act={revoke}
        >
          <p>{t("admin.tokens.revokeText")}</p>
        </Confirm>
      )}
    </Row>
  );
}
