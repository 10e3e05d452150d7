import { useState } from "react";
import { useTranslation } from "react-i18next";
import { useEnvironmentNames } from "@/api/names";
import { CheckField } from "@/components/CheckField";
import { Chosen } from "@/components/Chosen";
import { FindEnvironment } from "@/components/Find";
import type { AppField, AppValues } from "./values";

interface Props {
  values: AppValues;
  onChange: (values: AppValues) => void;
  errors: Partial<Record<AppField, string>>;
}

/** In which environments an app of the organization is seen and requested. */
export function OfferForm({ values, onChange, errors }: Props) {
  const { t } = useTranslation();
  const ids = values.offeredEnvironmentIds;
  const names = useEnvironmentNames(ids);
  // One chosen a moment ago is known before the API is asked.
  const [known, setKnown] = useState<Record<string, string>>({});
  return (
    <>
      <CheckField
        label={t("admin.apps.offeredToAll")}
        hint={t("admin.apps.offeredToAllMeans")}
        value={values.offeredToAllEnvironments}
        onChange={(all) => onChange({ ...values, offeredToAllEnvironments: all })}
        error={errors.offeredToAllEnvironments}
      />
      {!values.offeredToAllEnvironments && (
        <div className="stack tight">
          <FindEnvironment
            label={t("admin.apps.offered")}
            hint={t("admin.apps.offeredHint")}
            error={errors.offeredEnvironmentIds}
            except={ids}
            onFind={(found) => {
              setKnown({ ...known, [found.id]: found.name });
              onChange({ ...values, offeredEnvironmentIds: [...ids, found.id] });
            }}
          />
          <Chosen label={t("admin.apps.offered")} ids={ids} names={(id) => known[id] ?? names(id)} onChange={(left) => onChange({ ...values, offeredEnvironmentIds: left })} />
        </div>
      )}
    </>
  );
}
