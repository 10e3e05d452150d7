import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { api, client, type WorkingTime as Time } from "@/api/client";
import { useEnvironments } from "@/api/environments";
import { Problem } from "@/api/problem";
import { useHasRole } from "@/api/me";
import { Button } from "@/components/Button";
import { FindZone } from "@/components/Find";
import { Loading } from "@/components/Loading";
import { Page } from "@/components/Page";
import { ProblemNote } from "@/components/ProblemNote";
import { SelectOrNone } from "@/components/Select";
import { TextBox } from "@/components/TextBox";
import { tell } from "@/components/Toasts";
import { weekdays, workingTimeBody, workingTimeMask, workingTimeValues, wrongDays } from "./values";

/** When people work, in the organization or in an environment: reminders and escalations count by it. */
export function WorkingTime() {
  const { t } = useTranslation();
  const [environment, setEnvironment] = useState<string>();
  const environments = useEnvironments();
  const found = api.useQuery("get", "/v1/workingTime", { params: { query: { environmentId: environment } } });
  const time = found.data?.workingTime;
  return (
    <Page title={t("admin.pages.workingTime")} lead={t("admin.workingTime.lead")}>
      {environments.length > 0 && (
        <SelectOrNone
          label={t("admin.workingTime.whose")}
          value={environment}
          onChange={setEnvironment}
          none={t("admin.workingTime.organization")}
          choices={environments.map((e) => [e.id ?? "", e.name ?? ""] as const)}
        />
      )}
      {found.error && <ProblemNote error={found.error} again={() => void found.refetch()} />}
      {time ? <Form key={`${time.id} ${time.etag}`} time={time} environment={environment} /> : found.isPending && <Loading />}
    </Page>
  );
}

function Form({ time, environment }: { time: Time; environment: string | undefined }) {
  const { t } = useTranslation();
  const queries = useQueryClient();
  const may = useHasRole("ROLE_ADMIN", "ROLE_IT_ADMIN");
  const [values, setValues] = useState(() => workingTimeValues(time));
  const [error, setError] = useState<unknown>();
  const [busy, setBusy] = useState(false);
  const updateMask = workingTimeMask(time, values);
  const fields = error instanceof Problem ? error.fields : {};
  const wrong = wrongDays(fields, values);
  const save = async (mask: string, body: Time) => {
    setBusy(true);
    setError(undefined);
    try {
      await client.PATCH("/v1/workingTime", { params: { query: { updateMask: mask, environmentId: environment } }, body: { ...body, etag: time.etag } });
      tell(t("admin.saved"));
      await queries.invalidateQueries();
    } catch (e) {
      setError(e);
    } finally {
      setBusy(false);
    }
  };
  const holidays = Object.entries(fields).find(([field]) => field.startsWith("workingTime.holidays"))?.[1];
  return (
    <div className="stack">
      {time.inherited && <p className="note">{t("admin.workingTime.inherited")}</p>}
      <section className="card stack tight" aria-labelledby="zone">
        <h2 id="zone">{t("admin.workingTime.zone")}</h2>
        <p>{values.timeZone}</p>
        {may && <FindZone label={t("admin.workingTime.otherZone")} onFind={(zone) => setValues({ ...values, timeZone: zone.id })} error={fields["workingTime.timeZone"]} />}
      </section>
      <section className="card stack tight" aria-labelledby="week">
        <h2 id="week">{t("admin.workingTime.week")}</h2>
        <p className="quiet small">{t("admin.workingTime.weekHint")}</p>
        {weekdays.map((day) => (
          <TextBox key={day} label={t(`admin.workingTime.days.${day}`)} value={values.days[day]} isReadOnly={!may} onChange={(windows) => setValues({ ...values, days: { ...values.days, [day]: windows } })} error={wrong[day]} />
        ))}
        {fields["workingTime.days"] && <span className="note" data-tone="bad" role="alert">{fields["workingTime.days"]}</span>}
      </section>
      <section className="card" aria-labelledby="holidays">
        <h2 id="holidays">{t("admin.workingTime.holidays")}</h2>
        <TextBox label={t("admin.workingTime.dates")} hint={t("admin.workingTime.datesHint")} lines value={values.holidays} isReadOnly={!may} onChange={(dates) => setValues({ ...values, holidays: dates })} error={holidays} />
      </section>
      {error !== undefined && <ProblemNote error={error} />}
      {may && (
        <div className="row">
          <Button kind="main" isDisabled={busy || updateMask === ""} onPress={() => void save(updateMask, workingTimeBody(values))}>
            {t("save")}
          </Button>
          {time.environmentId && !time.inherited && (
            <Button isDisabled={busy} onPress={() => void save("inherited", { inherited: true })}>
              {t("admin.workingTime.inherit")}
            </Button>
          )}
        </div>
      )}
    </div>
  );
}
