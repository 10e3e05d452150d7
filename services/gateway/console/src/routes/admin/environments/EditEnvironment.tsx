import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { client, type Environment } from "@/api/client";
import { Button } from "@/components/Button";
import { Confirm } from "@/components/Confirm";
import { TextBox } from "@/components/TextBox";
import { tell } from "@/components/Toasts";
import { environmentFields, environmentMask, environmentValues, isQuota, quotaKinds, quotasOf } from "./values";

/** Makes an environment, or changes its name and what it may have. */
export function EditEnvironment({ environment }: { environment?: Environment }) {
  const { t } = useTranslation();
  const queries = useQueryClient();
  const [seen, setSeen] = useState(environment);
  const [values, setValues] = useState(environmentValues(environment));
  const updateMask = environmentMask(environmentValues(seen), values);
  const save = async (requestId: string) => {
    const body = { name: values.name.trim(), quotas: quotasOf(values) };
    try {
      if (seen) await client.PATCH("/v1/environments/{id}", { params: { path: { id: seen.id ?? "" }, query: { updateMask } }, body: { ...body, etag: seen.etag } });
      else await client.POST("/v1/environments", { body: { ...body, requestId } });
      tell(seen ? t("admin.saved") : t("admin.environments.added", { name: body.name }));
    } finally {
      await queries.invalidateQueries();
    }
  };
  return (
    <Confirm
      trigger={
        <Button kind={environment ? undefined : "main"} aria-label={environment && t("admin.changeWhat", { name: environment.name })}>
          {t(environment ? "admin.change" : "admin.environments.add")}
        </Button>
      }
      title={seen ? t("admin.changeWhat", { name: seen.name }) : t("admin.environments.add")}
      fields={environmentFields}
      prefix="environment"
      action={t(seen ? "save" : "admin.environments.add")}
      ready={updateMask !== "" && values.name.trim() !== "" && Object.values(values.quotas).every(isQuota)}
      onOpen={() => {
        setSeen(environment);
        setValues(environmentValues(environment));
      }}
      act={save}
    >
      {(errors) => (
        <>
          <TextBox label={t("admin.name")} value={values.name} onChange={(name) => setValues({ ...values, name })} isRequired autoFocus error={errors.name} />
          <fieldset className="plain stack tight">
            <legend>
              <strong>{t("admin.environments.quotas")}</strong>
            </legend>
            <p className="quiet small">{t("admin.environments.quotasText")}</p>
            <div className="fields">
              {quotaKinds.map((kind) => (
                <TextBox
                  key={kind}
                  label={t(`admin.environments.kinds.${kind}`)}
                  hint={kind === "users" ? t("admin.environments.usersHint") : kind === "openRequests" ? t("admin.environments.openRequestsHint") : undefined}
                  inputMode="numeric"
                  value={values.quotas[kind]}
                  onChange={(typed) => setValues({ ...values, quotas: { ...values.quotas, [kind]: typed } })}
                  error={isQuota(values.quotas[kind]) ? errors[`quotas.${kind}`] : t("admin.environments.wholeNumber")}
                />
              ))}
            </div>
          </fieldset>
        </>
      )}
    </Confirm>
  );
}
