import { useQueryClient } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { api, client, type IdentityProvider } from "@/api/client";
import { Button } from "@/components/Button";
import { Confirm } from "@/components/Confirm";
import { Copy } from "@/components/Copy";
import { ProblemNote } from "@/components/ProblemNote";
import { Tag } from "@/components/Tag";
import { Time } from "@/components/Time";
import { tell } from "@/components/Toasts";
import { EditProvider } from "./EditProvider";
import { providerAddresses } from "./values";

/** One identity provider: whom it signs in, what it must be told, and what a check found. */
export function ProviderCard({ provider, may }: { provider: IdentityProvider; may: boolean }) {
  const { t } = useTranslation();
  const sources = api.useQuery("get", "/v1/sources", { params: { query: { pageSize: 1000 } } });
  const check = api.useMutation("post", "/v1/identityProviders/{id}:check");
  const id = provider.id ?? "";
  const enabled = provider.state === "IDENTITY_PROVIDER_STATE_ENABLED";
  const addresses = providerAddresses(globalThis.location.origin, id);
  const what = { name: provider.name };
  return (
    <section className="card" aria-labelledby={`name-${id}`}>
      <div className="row apart">
        <h2 id={`name-${id}`}>{provider.name}</h2>
        <Tag tone={enabled ? "good" : "none"}>{t(enabled ? "admin.providers.enabled" : "admin.providers.disabled")}</Tag>
      </div>
      <dl className="facts">
        <dt>{t("admin.providers.issuer")}</dt>
        <dd>{provider.issuer}</dd>
        <dt>{t("admin.providers.clientId")}</dt>
        <dd>{provider.clientId || t("admin.providers.noClient")}</dd>
        <dt>{t("admin.providers.secret")}</dt>
        <dd>{t(provider.hasClientSecret ? "admin.providers.hasSecret" : "admin.providers.noSecret")}</dd>
        <dt>{t("admin.providers.source")}</dt>
        <dd>{provider.sourceId ? (sources.data?.sources?.find((s) => s.id === provider.sourceId)?.name ?? provider.sourceId) : t("admin.providers.linkedOnly")}</dd>
        <dt>{t("admin.providers.found")}</dt>
        <dd>{t("admin.providers.compared", { claim: provider.userClaim, field: t(`admin.providers.fields.${provider.userField ?? "USER_FIELD_UNSPECIFIED"}`) })}</dd>
        <dt>{t("admin.providers.scopes")}</dt>
        <dd>{["openid", ...(provider.scopes ?? [])].join(" ")}</dd>
        {!!provider.stepUpAcrValues?.length && (
          <>
            <dt>{t("admin.providers.acr")}</dt>
            <dd>{provider.stepUpAcrValues.join(" ")}</dd>
          </>
        )}
        <dt>{t("admin.providers.signOut")}</dt>
        <dd>{t(provider.signOutAtProvider ? "admin.providers.signOutThere" : "admin.providers.signOutHere")}</dd>
        <dt>{t("admin.providers.changed")}</dt>
        <dd>
          <Time at={provider.updateTime ?? provider.createTime ?? ""} />
        </dd>
      </dl>
      <details>
        <summary>{t("admin.providers.addresses")}</summary>
        <div className="stack">
          <p>{t("admin.providers.addressesText")}</p>
          {(Object.keys(addresses) as (keyof typeof addresses)[]).map((name) => (
            <Copy key={name} label={t(`admin.providers.addressNames.${name}`)} value={addresses[name]} />
          ))}
        </div>
      </details>
      {check.error && <ProblemNote error={check.error} />}
      {check.data && (
        <div className="note stack tight" data-tone={check.data.problems.length > 0 ? "bad" : "good"} role="status">
          <p>{t(check.data.problems.length > 0 ? "admin.providers.problems" : "admin.providers.fine")}</p>
          {check.data.problems.length > 0 && (
            <ul>
              {check.data.problems.map((problem) => (
                <li key={problem}>{problem}</li>
              ))}
            </ul>
          )}
        </div>
      )}
      {may && (
        <div className="row">
          <Button isPending={check.isPending} onPress={() => check.mutate({ params: { path: { id } } })} aria-label={t("admin.providers.checkOf", what)}>
            {t("admin.providers.check")}
          </Button>
          {provider.clientId && (
            // A form and not a call: it leads to the provider and, with what it says, to a page of Gatehouse.
            <form method="post" action={`/sign-in/${id}`}>
              <input type="hidden" name="purpose" value="test" />
              <input type="hidden" name="return_to" value="/admin/identity-providers" />
              <Button type="submit" aria-label={t("admin.providers.tryOf", what)}>
                {t("admin.providers.try")}
              </Button>
            </form>
          )}
          <EditProvider provider={provider} />
          <Switch provider={provider} enabled={enabled} />
          <Delete provider={provider} />
        </div>
      )}
    </section>
  );
}

/** Has people sign in by it, or ends that. */
function Switch({ provider, enabled }: { provider: IdentityProvider; enabled: boolean }) {
  const { t } = useTranslation();
  const queries = useQueryClient();
  const name = { name: provider.name };
  const change = async () => {
    try {
      await client.PATCH("/v1/identityProviders/{id}", {
        params: { path: { id: provider.id ?? "" }, query: { updateMask: "state" } },
        body: { state: enabled ? "IDENTITY_PROVIDER_STATE_DISABLED" : "IDENTITY_PROVIDER_STATE_ENABLED", etag: provider.etag },
      });
      tell(t(enabled ? "admin.providers.isDisabled" : "admin.providers.isEnabled", name));
    } finally {
      await queries.invalidateQueries();
    }
  };
  return (
    <Confirm
      trigger={
        <Button kind={enabled ? "danger" : undefined} aria-label={t(enabled ? "admin.providers.disableOf" : "admin.providers.enableOf", name)}>
          {t(enabled ? "admin.providers.disable" : "admin.providers.enable")}
        </Button>
      }
      title={t(enabled ? "admin.providers.disableTitle" : "admin.providers.enableTitle", name)}
      action={t(enabled ? "admin.providers.disable" : "admin.providers.enable")}
      danger={enabled}
      act={change}
    >
      <p>{t(enabled ? "admin.providers.disableText" : "admin.providers.enableText")}</p>
    </Confirm>
  );
}

function Delete({ provider }: { provider: IdentityProvider }) {
  const { t } = useTranslation();
  const queries = useQueryClient();
  const remove = async () => {
    await client.DELETE("/v1/identityProviders/{id}", { params: { path: { id: provider.id ?? "" } } });
    tell(t("admin.deleted", { name: provider.name }));
    await queries.invalidateQueries();
  };
  return (
    <Confirm
      trigger={
        <Button kind="danger" aria-label={t("admin.deleteWhat", { name: provider.name })}>
          {t("admin.delete")}
        </Button>
      }
      title={t("admin.deleteTitle", { name: provider.name })}
      action={t("admin.delete")}
      danger
      act={remove}
    >
      <p>{t("admin.providers.deleteText")}</p>
    </Confirm>
  );
}
