import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { client, type Organization } from "@/api/client";
import { Button } from "@/components/Button";
import { Confirm } from "@/components/Confirm";
import { TextBox } from "@/components/TextBox";
import { tell } from "@/components/Toasts";
import { organizationBody, organizationMask, organizationValues, removesSooner } from "./values";

/** Changes the organization, with what follows of that. */
export function EditOrganization({ organization }: { organization: Organization }) {
  const { t } = useTranslation();
  const queries = useQueryClient();
  const [seen, setSeen] = useState(organization);
  const [values, setValues] = useState(organizationValues(organization));
  const before = organizationValues(seen);
  const updateMask = organizationMask(before, values);
  const sooner = removesSooner(before, values);
  const save = async (body: Organization) => (await client.PATCH("/v1/organization", { params: { query: { updateMask } }, body })).data?.organization;
  const change = async () => {
    try {
      const saved = await save({ ...organizationBody(values), etag: seen.etag });
      const undo = async () => {
        await save({ ...organizationBody(before), etag: saved?.etag });
        void queries.invalidateQueries();
        return t("admin.undo.done");
      };
      // Nobody who was removed comes back by it.
      const comesBack = before.days.trim() === values.days.trim();
      tell(t("admin.saved"), comesBack ? { label: t("admin.undo.organization", { name: seen.name, signInName: seen.signInName }), act: undo } : undefined);
    } finally {
      await queries.invalidateQueries();
    }
  };
  return (
    <Confirm
      trigger={<Button kind="main">{t("admin.change")}</Button>}
      title={t("admin.organization.changeTitle")}
      fields={["name", "signInName", "removeSuspendedAfter"]}
      prefix="organization"
      action={t("save")}
      danger={sooner}
      ready={updateMask !== ""}
      onOpen={() => {
        setSeen(organization);
        setValues(organizationValues(organization));
      }}
      act={change}
    >
      {(errors) => (
        <>
          <TextBox label={t("admin.name")} value={values.name} onChange={(name) => setValues({ ...values, name })} isRequired error={errors.name} />
          <TextBox
            label={t("admin.organization.signInName")}
            hint={t("admin.organization.signInNameHint")}
            value={values.signInName}
            onChange={(signInName) => setValues({ ...values, signInName })}
            isRequired
            error={errors.signInName}
          />
          {values.signInName.trim() !== before.signInName && (
            <p className="note" data-tone="warn">
              {t("admin.organization.signInNameText", { name: before.signInName })}
            </p>
          )}
          <TextBox
            label={t("admin.organization.days")}
            hint={t("admin.organization.daysHint")}
            inputMode="numeric"
            value={values.days}
            onChange={(days) => setValues({ ...values, days })}
            error={errors.removeSuspendedAfter}
          />
          {sooner && (
            <p className="note" data-tone="bad">
              {t("admin.organization.daysText")}
            </p>
          )}
        </>
      )}
    </Confirm>
  );
}
