import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { api, type App } from "@/api/client";
import { CheckField } from "@/components/CheckField";
import { ChosenPeople } from "@/components/Chosen";
import { AppIcon } from "@/components/AppIcon";
import { appIconNames, appIcons, type AppIconName } from "@/components/appIcons";
import { Select, SelectOrNone } from "@/components/Select";
import { TextBox } from "@/components/TextBox";
import { samePlace } from "@/routes/admin/integrations/found";
import { LookFirst } from "@/routes/admin/integrations/LookFirst";
import { CatalogForm } from "./CatalogForm";
import { Described } from "./Described";
import { OfferForm } from "./OfferForm";
import type { AppField, AppValues } from "./values";

interface Props {
  values: AppValues;
  onChange: (values: AppValues) => void;
  errors: Partial<Record<AppField, string>>;
  /** The app as it is; undefined for a new one. */
  app?: App;
  /** Says whose it is, of a new one. */
  belongs?: ReactNode;
  /** Whether it is an app that environments can be offered. */
  offers: boolean;
}

/** What can be set on an app. */
export function AppForm({ values, onChange, errors, app, belongs, offers }: Props) {
  const { t } = useTranslation();
  const set = <K extends AppField>(name: K) => (value: AppValues[K]) => onChange({ ...values, [name]: value });
  const integrations = api.useQuery("get", "/v1/integrations", { params: { query: { pageSize: 1000 } } });
  const gone = app?.goneUserIds;
  const place = (id: string | undefined) => integrations.data?.integrations?.find((i) => i.id === id)?.scim?.baseUrl;
  const names = Object.fromEntries(
    (integrations.data?.integrations ?? []).map((i) => [i.id ?? "", i.state === "INTEGRATION_STATE_WORKING" ? (i.name ?? "") : t("admin.apps.notWorking", { name: i.name })]),
  );
  return (
    <>
      <TextBox label={t("admin.name")} value={values.name} onChange={set("name")} isRequired error={errors.name} />
      <TextBox label={t("admin.description")} lines value={values.description} onChange={set("description")} error={errors.description} />
      <CatalogForm values={values} onChange={onChange} errors={errors} app={app} />
      <div className="row">
        <AppIcon name={values.name} icon={values.icon} />
        <SelectOrNone
          label={t("admin.apps.icon")}
          error={errors.icon}
          value={values.icon || undefined}
          onChange={(icon) => set("icon")(icon ?? "")}
          none={t("admin.apps.letter")}
          choices={[...new Set([...appIconNames, ...(values.icon ? [values.icon] : [])])].map((name) => [name, name === values.icon && !Object.hasOwn(appIcons, name) ? name : t(`admin.apps.icons.${name as AppIconName}`)] as const)}
        />
      </div>
      <Described
        label={t("admin.apps.provisioning")}
        value={values.provisioning}
        onChange={set("provisioning")}
        error={errors.provisioning}
        choices={["PROVISIONING_SUPPORT_NONE", "PROVISIONING_SUPPORT_MANUAL", "PROVISIONING_SUPPORT_AUTOMATIC"]}
        name={(k) => t(`admin.apps.supports.${k}.name`)}
        means={(k) => t(`admin.apps.supports.${k}.means`)}
      />
      <Select
        label={t("admin.apps.integration")}
        hint={t("admin.apps.integrationHint")}
        error={errors.integrationId}
        value={values.integrationId || "none"}
        onChange={(id) => set("integrationId")(id === "none" ? "" : id)}
        choices={{ none: t("none"), ...names }}
      />
      {app && values.integrationId && (
        <LookFirst
          key={values.integrationId}
          app={app}
          rules={values}
          at={{ integrationId: values.integrationId }}
          moves={!!app.integrationId && !samePlace(place(app.integrationId), place(values.integrationId))}
        />
      )}
      <ChosenPeople label={t("admin.apps.owner")} hint={t("admin.apps.ownerHint")} one ids={values.ownerId ? [values.ownerId] : []} gone={gone} onChange={([id]) => set("ownerId")(id ?? "")} error={errors.ownerId} />
      <ChosenPeople label={t("admin.apps.admins")} hint={t("admin.apps.adminsHint")} ids={values.adminIds} gone={gone} onChange={set("adminIds")} error={errors.adminIds} />
      <ChosenPeople label={t("admin.apps.approvers")} hint={t("admin.apps.approversHint")} ordered ids={values.approverIds} gone={gone} onChange={set("approverIds")} error={errors.approverIds} />
      <CheckField label={t("admin.apps.onlyByFlow")} hint={t("admin.apps.onlyByFlowMeans")} value={values.onlyByFlow} onChange={set("onlyByFlow")} error={errors.onlyByFlow} />
      {belongs}
      {offers && <OfferForm values={values} onChange={onChange} errors={errors} />}
      <Select
        label={t("admin.apps.deprovisioning")}
        hint={t("admin.apps.deprovisioningHint")}
        error={errors.deprovisioningAction}
        value={values.deprovisioningAction}
        onChange={set("deprovisioningAction")}
        choices={{
          DEPROVISIONING_ACTION_UNSPECIFIED: t("admin.apps.deprovisionings.DEPROVISIONING_ACTION_UNSPECIFIED"),
          DEPROVISIONING_ACTION_REMOVE: t("admin.apps.deprovisionings.DEPROVISIONING_ACTION_REMOVE"),
          DEPROVISIONING_ACTION_DISABLE: t("admin.apps.deprovisionings.DEPROVISIONING_ACTION_DISABLE"),
        }}
      />
      <Select
        label={t("admin.apps.adoption")}
        hint={t("admin.apps.adoptionHint")}
        error={errors.accountAdoption}
        value={values.accountAdoption}
        onChange={set("accountAdoption")}
        choices={{
          ACCOUNT_ADOPTION_UNSPECIFIED: t("admin.apps.adoptions.ACCOUNT_ADOPTION_UNSPECIFIED"),
          ACCOUNT_ADOPTION_ASK: t("admin.apps.adoptions.ACCOUNT_ADOPTION_ASK"),
          ACCOUNT_ADOPTION_ADOPT: t("admin.apps.adoptions.ACCOUNT_ADOPTION_ADOPT"),
          ACCOUNT_ADOPTION_REFUSE: t("admin.apps.adoptions.ACCOUNT_ADOPTION_REFUSE"),
        }}
      />
    </>
  );
}
