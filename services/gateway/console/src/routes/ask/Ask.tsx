import { getLocalTimeZone, now, type ZonedDateTime } from "@internationalized/date";
import { useQueryClient } from "@tanstack/react-query";
import { getRouteApi, useNavigate } from "@tanstack/react-router";
import { useEffect, useState } from "react";
import { useTranslation } from "react-i18next";
import { api, type Entitlement, type User } from "@/api/client";
import { useHasRole, useMe } from "@/api/me";
import { Problem } from "@/api/problem";
import { Button } from "@/components/Button";
import { Choice } from "@/components/Choice";
import { DateTime } from "@/components/DateTime";
import { FindApp, FindBundle } from "@/components/Find";
import { Page } from "@/components/Page";
import { People } from "@/components/People";
import { ProblemNote } from "@/components/ProblemNote";
import { TextBox } from "@/components/TextBox";
import { tell } from "@/components/Toasts";
import { AppItems } from "./AppItems";
import { BundleItems } from "./BundleItems";
import { draft } from "./draft";
import { Fields, fieldPath, fieldsOf } from "./Fields";
import { Route, usePreview } from "./Route";

const route = getRouteApi("/shell/ask");

/** How long access is asked for: for good, for some hours, or until a time. */
const lengths = { permanent: 0, day: 24, week: 7 * 24, month: 30 * 24, until: 0 } as const;
export type Length = keyof typeof lengths;
export type Whom = "me" | "other";

/** Where access is asked for: for whom, what, until when and why, with what would follow. */
export function Ask() {
  const { t } = useTranslation();
  const { app, bundle } = route.useSearch();
  const navigate = useNavigate();
  const queries = useQueryClient();
  // Who asks for themselves alone is not offered others.
  const alone = useHasRole("ROLE_EXTERNAL", "ROLE_RISK_MANAGER");
  const me = useMe().data?.user?.id;
  const [kept] = useState(() => draft.read(me, app, bundle));
  const [whom, setWhom] = useState<Whom>((!alone && kept?.whom) || "me");
  const [other, setOther] = useState<User>();
  const [apps, setApps] = useState<string[]>(kept?.apps ?? (app ? [app] : []));
  const [chosen, setChosen] = useState<Entitlement[]>(kept?.chosen ?? []);
  const [bundles, setBundles] = useState<string[]>(kept?.bundles ?? (bundle ? [bundle] : []));
  const someBundle = api.useQuery("get", "/v1/bundles", { params: { query: { pageSize: 1 } } }, { staleTime: 60_000 });
  const [length, setLength] = useState<Length>(kept?.length ?? "permanent");
  const [date, setDate] = useState<ZonedDateTime | null>(null);
  const [justification, setJustification] = useState(kept?.justification ?? "");
  const [filled, setFilled] = useState<Record<string, string>>({});
  useEffect(() => draft.keep(me, { app, apps, bundle, bundles, chosen, whom, length, justification }), [me, app, apps, bundle, bundles, chosen, whom, length, justification]);
  // The same form sent twice, because no answer came, makes one request.
  const [requestId, setRequestId] = useState(() => crypto.randomUUID());
  // When the form was begun: a length counts from the moment that it was chosen.
  const [begun, setBegun] = useState(() => now(getLocalTimeZone()));

  const until = length === "permanent" ? undefined : length === "until" ? date?.toAbsoluteString() : begun.add({ hours: lengths[length] }).toAbsoluteString();
  const body = {
    kind: "REQUEST_KIND_GRANT",
    beneficiaryId: whom === "other" ? other?.id : undefined,
    entitlementIds: chosen.map((e) => e.id ?? ""),
    bundleIds: bundles,
    justification: justification.trim(),
    until,
    fields: {} as Record<string, string>,
  } as const;
  const complete = (chosen.length > 0 || bundles.length > 0) && (whom === "me" || other !== undefined) && (length !== "until" || date !== null);
  const preview = usePreview(body, complete);
  const asked = complete ? fieldsOf(preview.data?.items) : [];
  const least = complete ? Math.max(0, ...(preview.data?.items ?? []).map((item) => item.limits?.minJustificationLength ?? 0)) : 0;
  const sent = Object.fromEntries(asked.map(({ key = "" }) => [key, (filled[key] ?? "").trim()]).filter(([, value]) => value !== ""));
  const create = api.useMutation("post", "/v1/requests", {
    onSuccess: async (made) => {
      draft.forget();
      tell(t("ask.sent"));
      await queries.invalidateQueries();
      await navigate({ to: "/requests/$id", params: { id: made.request?.id ?? "" } });
    },
    onError: (error) => {
      if (!(error instanceof Problem && error.mayPass)) setRequestId(crypto.randomUUID());
    },
  });
  const fields = create.error instanceof Problem ? create.error.fields : {};
  return (
    <Page title={t("ask.title")} lead={t("ask.lead")}>
      <form
        className="stack"
        onSubmit={(e) => {
          e.preventDefault();
          if (complete) create.mutate({ body: { ...body, fields: sent, requestId } });
        }}
      >
        {!alone && (
          <section className="card" aria-labelledby="whom">
            <h2 id="whom">{t("ask.whom")}</h2>
            <Choice
              label={t("ask.whom")}
              value={whom}
              onChange={(next) => {
                setWhom(next);
                setOther(undefined); // the box to find somebody is empty again
              }}
              choices={{ me: t("ask.me"), other: t("ask.other") }}
            />
            {whom === "other" && <People label={t("ask.person")} hint={t("ask.personHint")} onChoose={setOther} error={fields.beneficiaryId} />}
          </section>
        )}
        <section className="card" aria-labelledby="what">
          <h2 id="what">{t("ask.what")}</h2>
          {bundles.map((id) => (
            <BundleItems key={id} bundle={id} onRemove={() => setBundles(bundles.filter((b) => b !== id))} />
          ))}
          {apps.map((id) => (
            <AppItems
              key={id}
              app={id}
              chosen={chosen}
              onChange={(of) => setChosen([...chosen.filter((e) => e.appId !== id), ...of])}
              onRemove={() => {
                setApps(apps.filter((a) => a !== id));
                setChosen(chosen.filter((e) => e.appId !== id));
              }}
            />
          ))}
          <FindApp label={t(apps.length === 0 ? "ask.app" : "ask.another")} except={apps} onFind={({ id }) => setApps([...apps, id])} />
          {(bundles.length > 0 || !!someBundle.data?.bundles?.length) && <FindBundle label={t("ask.bundle")} except={bundles} error={fields.bundleIds} onFind={({ id }) => setBundles([...bundles, id])} />}
          {fields.entitlementIds && (
            <p className="note" data-tone="bad" role="alert">
              {fields.entitlementIds}
            </p>
          )}
        </section>
        <section className="card" aria-labelledby="until">
          <h2 id="until">{t("ask.until")}</h2>
          <Choice
            label={t("ask.until")}
            value={length}
            onChange={(next) => {
              setLength(next);
              setBegun(now(getLocalTimeZone()));
            }}
            choices={{ permanent: t("access.permanent"), day: t("ask.day"), week: t("ask.week"), month: t("ask.month"), until: t("ask.date") }}
          />
          {length === "until" && <DateTime label={t("ask.time")} value={date} onChange={setDate} error={fields.until} />}
          {length !== "until" && fields.until && (
            <p className="note" data-tone="bad" role="alert">
              {fields.until}
            </p>
          )}
        </section>
        <TextBox label={t("request.justification")} hint={least > 0 ? t("ask.least", { count: least }) : t("ask.whyHint")} lines value={justification} onChange={setJustification} error={fields.justification} />
        {asked.length > 0 && (
          <section className="card" aria-labelledby="fields">
            <h2 id="fields">{t("ask.fields")}</h2>
            <Fields fields={asked} values={filled} onChange={setFilled} errors={fields} />
          </section>
        )}
        {complete && <Route body={body} />}
        {create.error && <ProblemNote error={create.error} shown={["beneficiaryId", "entitlementIds", "bundleIds", "until", "justification", ...asked.map((f) => fieldPath(f.key ?? ""))]} />}
        <div className="row">
          <Button type="submit" kind="main" isPending={create.isPending} isDisabled={!complete}>
            {t("ask.send")}
          </Button>
          {!complete && <span className="quiet small">{t("ask.incomplete")}</span>}
        </div>
      </form>
    </Page>
  );
}
