import { useQueryClient } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { api, client, type User, type UserIdentity } from "@/api/client";
import { pageByPage } from "@/api/pages";
import { Button } from "@/components/Button";
import { Confirm } from "@/components/Confirm";
import { Loading } from "@/components/Loading";
import { More } from "@/components/More";
import { ProblemNote } from "@/components/ProblemNote";
import { Time } from "@/components/Time";
import { tell } from "@/components/Toasts";

/** By which identities somebody signs in; each can be removed. */
export function Identities({ user }: { user: User }) {
  const { t } = useTranslation();
  const found = api.useInfiniteQuery("get", "/v1/users/{user_id}/identities", { params: { path: { user_id: user.id ?? "" }, query: { pageSize: 20 } } }, { ...pageByPage });
  const providers = api.useQuery("get", "/v1/identityProviders", { params: { query: { pageSize: 1000 } } });
  const all = found.data?.pages.flatMap((p) => p.userIdentities ?? []) ?? [];
  return (
    <section className="stack tight" aria-labelledby="identities">
      <h2 id="identities">{t("admin.identities.title")}</h2>
      {found.isPending && <Loading rows={1} />}
      {found.error && <ProblemNote error={found.error} again={() => void found.refetch()} />}
      {found.data && all.length === 0 && <p className="quiet">{t("admin.identities.none")}</p>}
      {all.length > 0 && (
        <ul className="list">
          {all.map((identity) => (
            <IdentityLine
              key={identity.id}
              identity={identity}
              name={user.displayName ?? ""}
              provider={providers.data?.identityProviders?.find((p) => p.id === identity.identityProviderId)?.name ?? identity.identityProviderId ?? ""}
            />
          ))}
        </ul>
      )}
      <More list={found} />
    </section>
  );
}

function IdentityLine({ identity, name, provider }: { identity: UserIdentity; name: string; provider: string }) {
  const { t } = useTranslation();
  const queries = useQueryClient();
  const remove = async () => {
    await client.DELETE("/v1/userIdentities/{id}", { params: { path: { id: identity.id ?? "" } } });
    tell(t("admin.identities.removed", { provider }));
    await queries.invalidateQueries();
  };
  return (
    <li>
      <div className="what">
        <span>{provider}</span>
        <span className="small">{t("admin.identities.subject", { subject: identity.subject })}</span>
        <span className="quiet small">
          {t("admin.identities.linked")} <Time at={identity.createTime ?? ""} />
          {" · "}
          {identity.lastSignInTime ? (
            <>
              {t("admin.identities.lastUsed")} <Time at={identity.lastSignInTime} relative />
            </>
          ) : (
            t("admin.identities.neverUsed")
          )}
        </span>
      </div>
      <Confirm
        trigger={
          <Button kind="danger" aria-label={t("admin.identities.removeOf", { provider })}>
            {t("admin.identities.remove")}
          </Button>
        }
        title={t("admin.identities.removeTitle", { provider, name })}
        action={t("admin.identities.remove")}
        danger
        act={remove}
      >
        <p>{t("admin.identities.removeText")}</p>
      </Confirm>
    </li>
  );
}
