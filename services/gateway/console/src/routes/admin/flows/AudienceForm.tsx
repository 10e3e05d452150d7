import { type ReactNode, useState } from "react";
import { useTranslation } from "react-i18next";
import { useGroupNames } from "@/api/names";
import { Choice } from "@/components/Choice";
import { Chosen, ChosenPeople } from "@/components/Chosen";
import { FindGroup } from "@/components/Find";
import type { FlowValues } from "./values";

interface Props {
  value: FlowValues["audience"];
  onChange: (value: FlowValues["audience"]) => void;
  errors: Partial<Record<string, string>>;
  children?: ReactNode;
}

/** Whom a flow is for. */
export function AudienceForm({ value, onChange, errors, children }: Props) {
  const { t } = useTranslation();
  return (
    <section className="card" aria-labelledby="audience">
      <h2 id="audience">{t("admin.flows.audience")}</h2>
      <Choice
        label={t("admin.flows.audience")}
        value={value.everyone ? "everyone" : "some"}
        onChange={(who) => onChange({ ...value, everyone: who === "everyone" })}
        choices={{ everyone: t("admin.flows.everyone"), some: t("admin.flows.some") }}
      />
      {!value.everyone && (
        <>
          <Groups ids={value.groupIds ?? []} onChange={(groupIds) => onChange({ ...value, groupIds })} error={errors["audience.groupIds"] ?? errors.audience} />
          <ChosenPeople label={t("admin.flows.people")} ids={value.userIds ?? []} onChange={(userIds) => onChange({ ...value, userIds })} error={errors["audience.userIds"]} />
        </>
      )}
      {children}
    </section>
  );
}

/** Chooses groups. */
export function Groups({ ids, onChange, error }: { ids: readonly string[]; onChange: (ids: string[]) => void; error?: string }) {
  const { t } = useTranslation();
  const names = useGroupNames(ids);
  const [known, setKnown] = useState<Record<string, string>>({});
  return (
    <div className="stack tight">
      <FindGroup
        label={t("admin.flows.groups")}
        error={error}
        onFind={(found) => {
          setKnown({ ...known, [found.id]: found.name });
          onChange([...ids.filter((id) => id !== found.id), found.id]);
        }}
      />
      <Chosen label={t("admin.flows.groups")} ids={ids} names={(id) => known[id] ?? names(id)} onChange={onChange} />
    </div>
  );
}
