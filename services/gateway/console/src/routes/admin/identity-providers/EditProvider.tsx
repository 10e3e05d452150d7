import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { api, client, type IdentityProvider } from "@/api/client";
import { Button } from "@/components/Button";
import { CheckField } from "@/components/CheckField";
import { Confirm } from "@/components/Confirm";
import { Select, SelectOrNone } from "@/components/Select";
import { TextBox } from "@/components/TextBox";
import { tell } from "@/components/Toasts";
import { endsIdentities, newProviderBody, providerBody, providerMask, type ProviderValues, providerValues } from "./values";

const fields = ["name", "issuer", "clientId", "clientSecret", "sourceId", "userClaim", "userField", "stepUpAcrValues", "scopes", "signOutAtProvider"] as const;

/** Makes an identity provider, disabled at first, or changes it. The secret there is is kept unless another is typed, and never shown. */
export function EditProvider({ provider }: { provider?: IdentityProvider }) {
  const { t } = useTranslation();
  const queries = useQueryClient();
  const [seen, setSeen] = useState(provider);
  const [values, setValues] = useState(providerValues(provider));
  const before = providerValues(seen);
  const updateMask = providerMask(before, values);
  const set = <K extends keyof ProviderValues>(name: K) => (value: ProviderValues[K]) => setValues({ ...values, [name]: value });
  const save = async (requestId: string) => {
    try {
      if (seen) {
        await client.PATCH("/v1/identityProviders/{id}", { params: { path: { id: seen.id ?? "" }, query: { updateMask } }, body: { ...providerBody(values), etag: seen.etag } });
        tell(t("admin.saved"));
      } else {
        await client.POST("/v1/identityProviders", { body: { ...newProviderBody(values), requestId } });
        tell(t("admin.providers.made"));
      }
      // What was typed as a secret is not kept here.
      setValues(providerValues());
    } finally {
      await queries.invalidateQueries();
    }
  };
  return (
    <Confirm
      trigger={
        <Button kind={provider ? undefined : "main"} aria-label={provider && t("admin.changeWhat", { name: provider.name })}>
          {t(provider ? "admin.change" : "admin.providers.add")}
        </Button>
      }
      title={seen ? t("admin.changeWhat", { name: seen.name }) : t("admin.providers.add")}
      fields={fields}
      prefix="identityProvider"
      action={t("save")}
      danger={seen && endsIdentities(before, values)}
      ready={values.name.trim() !== "" && values.issuer.trim() !== "" && (!seen || updateMask !== "")}
      onOpen={() => {
        setSeen(provider);
        setValues(providerValues(provider));
      }}
      onClose={() => setValues(providerValues(provider))}
      act={save}
    >
      {(errors) => (
        <>
          {!seen && <p>{t("admin.providers.addText")}</p>}
          <TextBox label={t("admin.name")} hint={t("admin.providers.nameHint")} value={values.name} onChange={set("name")} isRequired error={errors.name} />
          <TextBox label={t("admin.providers.issuer")} hint={t("admin.providers.issuerHint")} value={values.issuer} onChange={set("issuer")} isRequired error={errors.issuer} />
          <TextBox label={t("admin.providers.clientId")} hint={t("admin.providers.clientIdHint")} value={values.clientId} onChange={set("clientId")} error={errors.clientId} />
          {!values.withoutSecret && (
            <TextBox
              label={t("admin.providers.secret")}
              hint={t(seen?.hasClientSecret ? "admin.providers.secretKept" : "admin.providers.secretHint")}
              type="password"
              autoComplete="off"
              value={values.clientSecret}
              onChange={set("clientSecret")}
              error={errors.clientSecret}
            />
          )}
          {seen?.hasClientSecret && <CheckField label={t("admin.providers.withoutSecret")} value={values.withoutSecret} onChange={set("withoutSecret")} />}
          {seen && endsIdentities(before, values) && (
            <p className="note" data-tone="bad">
              {t("admin.providers.endsText")}
            </p>
          )}
          {!seen && <Source value={values.sourceId} onChange={set("sourceId")} error={errors.sourceId} />}
          <TextBox label={t("admin.providers.claim")} hint={t("admin.providers.claimHint")} value={values.userClaim} onChange={set("userClaim")} error={errors.userClaim} />
          <Select
            label={t("admin.providers.field")}
            value={values.userField}
            onChange={set("userField")}
            choices={{ USER_FIELD_EXTERNAL_ID: t("admin.providers.fields.USER_FIELD_EXTERNAL_ID"), USER_FIELD_USER_NAME: t("admin.providers.fields.USER_FIELD_USER_NAME") }}
            error={errors.userField}
          />
          {!seen && <TextBox label={t("admin.providers.scopes")} hint={t("admin.providers.scopesHint")} value={values.scopes} onChange={set("scopes")} error={errors.scopes} />}
          <TextBox label={t("admin.providers.acr")} hint={t("admin.providers.acrHint")} value={values.stepUpAcrValues} onChange={set("stepUpAcrValues")} error={errors.stepUpAcrValues} />
          <CheckField label={t("admin.providers.signOutToo")} value={values.signOutAtProvider} onChange={set("signOutAtProvider")} error={errors.signOutAtProvider} />
        </>
      )}
    </Confirm>
  );
}

/** Whose people sign in there. */
function Source({ value, onChange, error }: { value: string | undefined; onChange: (id: string | undefined) => void; error?: string }) {
  const { t } = useTranslation();
  const sources = api.useQuery("get", "/v1/sources", { params: { query: { pageSize: 1000 } } });
  return (
    <SelectOrNone
      label={t("admin.providers.source")}
      hint={t("admin.providers.sourceHint")}
      value={value}
      onChange={onChange}
      none={t("admin.providers.linkedOnly")}
      choices={(sources.data?.sources ?? []).map((s) => [s.id ?? "", s.name ?? ""])}
      error={error}
    />
  );
}
