import { useState } from "react";
import { useTranslation } from "react-i18next";
import { api, type App } from "@/api/client";
import { useAppNames } from "@/api/names";
import { Chosen } from "@/components/Chosen";
import { FindApp } from "@/components/Find";
import { TextBox } from "@/components/TextBox";
import { Suggested } from "@/components/Suggested";
import { Described } from "./Described";
import type { AppField, AppValues } from "./values";

interface Props {
  values: AppValues;
  onChange: (values: AppValues) => void;
  errors: Partial<Record<AppField, string>>;
  /** The app as it is; undefined for a new one. */
  app?: App;
}

/** Tags as they are written, with commas between them. */
const split = (text: string) => text.split(",").map((tag) => tag.trim()).filter((tag) => tag !== "");

/** What the catalog says of an app, and who finds it there. */
export function CatalogForm({ values, onChange, errors, app }: Props) {
  const { t } = useTranslation();
  const ids = values.ssoAppId ? [values.ssoAppId] : [];
  const names = useAppNames(ids);
  const [known, setKnown] = useState<Record<string, string>>({});
  // While somebody writes, a comma at the end stays.
  const [tags, setTags] = useState(values.tags.join(", "));
  if (split(tags).join() !== values.tags.join()) setTags(values.tags.join(", "));
  const used = api.useQuery("get", "/v1/catalog:search", { params: { query: { pageSize: 1 } } }, { staleTime: 60_000 });
  return (
    <>
      <Suggested label={t("admin.apps.category")} hint={t("admin.apps.categoryHint")} value={values.category} onChange={(category) => onChange({ ...values, category })} error={errors.category} of={used.data?.categories ?? []} />
      <TextBox
        label={t("admin.apps.tags")}
        hint={t("admin.apps.tagsHint")}
        value={tags}
        onChange={(text) => {
          setTags(text);
          onChange({ ...values, tags: split(text) });
        }}
        error={errors.tags}
      />
      <TextBox label={t("admin.apps.instructions")} hint={t("admin.apps.instructionsHint")} lines value={values.instructions} onChange={(instructions) => onChange({ ...values, instructions })} error={errors.instructions} />
      <div className="stack tight">
        <FindApp
          label={t("admin.apps.ssoApp")}
          hint={t("admin.apps.ssoAppHint")}
          error={errors.ssoAppId}
          except={[...ids, ...(app?.id ? [app.id] : [])]}
          onFind={(found) => {
            setKnown({ ...known, [found.id]: found.name });
            onChange({ ...values, ssoAppId: found.id });
          }}
        />
        <Chosen label={t("admin.apps.ssoApp")} ids={ids} names={(id) => known[id] ?? names(id)} onChange={() => onChange({ ...values, ssoAppId: "" })} />
      </div>
      <Described
        label={t("admin.apps.inCatalog")}
        value={values.catalogState}
        onChange={(catalogState) => onChange({ ...values, catalogState })}
        error={errors.catalogState}
        choices={["CATALOG_STATE_LISTED", "CATALOG_STATE_UNLISTED"]}
        name={(k) => t(`admin.apps.catalogStates.${k}.name`)}
        means={(k) => t(`admin.apps.catalogStates.${k}.means`)}
      />
    </>
  );
}
