import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { Checkbox } from "react-aria-components";
import { useTranslation } from "react-i18next";
import { client, type Integration } from "@/api/client";
import { Problem } from "@/api/problem";
import { Button } from "@/components/Button";
import { Confirm } from "@/components/Confirm";
import { Select } from "@/components/Select";
import { TextBox } from "@/components/TextBox";
import { tell } from "@/components/Toasts";
import { samePlace } from "./found";
import { LookAtAddress } from "./LookAtAddress";
import { integrationMask, integrationValues } from "./values";

const fields = ["name", "scim.baseUrl", "scim.token", "access", "leaveAccounts"] as const;

/** Makes an integration, or changes it; either way it is tested. The token there is is kept unless another is given. */
export function EditIntegration({ integration }: { integration?: Integration }) {
  const { t } = useTranslation();
  const queries = useQueryClient();
  const [seen, setSeen] = useState(integration);
  const [values, setValues] = useState(integrationValues(integration));
  // How many accounts are known at the address that is about to change.
  const [left, setLeft] = useState<string>();
  const [leave, setLeave] = useState(false);
  const updateMask = integrationMask(integrationValues(seen), values);
  const save = async (requestId: string) => {
    const body = { name: values.name.trim(), access: values.access, scim: { baseUrl: values.baseUrl.trim(), token: values.token } };
    try {
      const params = { path: { id: seen?.id ?? "" }, query: { updateMask, leaveAccounts: leave } };
      const saved = seen
        ? (await client.PATCH("/v1/integrations/{id}", { params, body: { ...body, etag: seen.etag } })).data?.integration
        : (await client.POST("/v1/integrations", { body: { ...body, requestId, kind: "INTEGRATION_KIND_SCIM" } })).data?.integration;
      tell(t(saved?.state === "INTEGRATION_STATE_WORKING" ? "admin.integrations.savedWorks" : "admin.integrations.savedFails"));
    } catch (e) {
      if (e instanceof Problem && e.reason === "ACCOUNTS_LEFT_BEHIND") setLeft(e.metadata.accounts ?? "");
      throw e;
    } finally {
      await queries.invalidateQueries();
    }
  };
  return (
    <Confirm
      trigger={
        <Button kind={integration ? undefined : "main"} aria-label={integration && t("admin.changeWhat", { name: integration.name })}>
          {t(integration ? "admin.change" : "admin.integrations.add")}
        </Button>
      }
      title={seen ? t("admin.changeWhat", { name: seen.name }) : t("admin.integrations.add")}
      fields={fields}
      prefix="integration"
      action={t("admin.integrations.save")}
      ready={updateMask !== "" && values.name.trim() !== "" && values.baseUrl.trim() !== ""}
      onOpen={() => {
        setSeen(integration);
        setValues(integrationValues(integration));
        setLeft(undefined);
        setLeave(false);
      }}
      act={save}
    >
      {(errors) => (
        <>
          <TextBox label={t("admin.name")} value={values.name} onChange={(name) => setValues({ ...values, name })} isRequired error={errors.name} />
          <TextBox
            label={t("admin.integrations.address")}
            hint={t("admin.integrations.addressHint")}
            value={values.baseUrl}
            onChange={(baseUrl) => setValues({ ...values, baseUrl })}
            isRequired
            error={errors["scim.baseUrl"]}
          />
          <TextBox
            label={t("admin.integrations.token")}
            hint={t(seen ? "admin.integrations.tokenKept" : "admin.integrations.tokenHint")}
            type="password"
            autoComplete="off"
            value={values.token}
            onChange={(token) => setValues({ ...values, token })}
            error={errors["scim.token"]}
          />
          {seen && !samePlace(values.baseUrl, seen.scim?.baseUrl) && <LookAtAddress integration={seen} baseUrl={values.baseUrl.trim()} token={values.token} />}
          <Select
            label={t("admin.integrations.access")}
            error={errors.access}
            value={values.access}
            onChange={(access) => setValues({ ...values, access })}
            choices={{
              INTEGRATION_ACCESS_READ_WRITE: t("admin.integrations.accesses.INTEGRATION_ACCESS_READ_WRITE"),
              INTEGRATION_ACCESS_READ_ONLY: t("admin.integrations.accesses.INTEGRATION_ACCESS_READ_ONLY"),
            }}
          />
          {left !== undefined && (
            <Checkbox className="choice" isSelected={leave} onChange={setLeave}>
              <span className="mark" aria-hidden />
              <span>{t("admin.integrations.leave", { count: Number(left) })}</span>
            </Checkbox>
          )}
        </>
      )}
    </Confirm>
  );
}
