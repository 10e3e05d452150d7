import type { ZonedDateTime } from "@internationalized/date";
import { keepPreviousData, useQueryClient } from "@tanstack/react-query";
import { getRouteApi, useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { api, client } from "@/api/client";
import { useHasRole } from "@/api/me";
import { useEntitlementNames } from "@/api/names";
import { Button } from "@/components/Button";
import { Chosen, ChosenPeople } from "@/components/Chosen";
import { Confirm } from "@/components/Confirm";
import { DateTime } from "@/components/DateTime";
import { FindApp } from "@/components/Find";
import { Page } from "@/components/Page";
import { ProblemNote } from "@/components/ProblemNote";
import { Tag } from "@/components/Tag";
import { TextBox } from "@/components/TextBox";
import { tell } from "@/components/Toasts";
import { NotYours } from "@/routes/admin/NotYours";
import { Within } from "@/routes/admin/flows/ScopeForm";

const route = getRouteApi("/shell/admin/assign");

/** Where admins give access to one or many people at once, after seeing how each account would come. */
export function Assign() {
  const { t } = useTranslation();
  const { person } = route.useSearch();
  const navigate = useNavigate();
  const queries = useQueryClient();
  const [userIds, setUsers] = useState<string[]>(person ? [person] : []);
  const [app, setApp] = useState<{ id: string; name: string }>();
  const [entitlementIds, setEntitlements] = useState<string[]>([]);
  const [until, setUntil] = useState<ZonedDateTime | null>(null);
  const [justification, setJustification] = useState("");
  const names = useEntitlementNames(entitlementIds);
  const body = { userIds, entitlementIds, until: until?.toAbsoluteString() };
  const gives = useHasRole("ROLE_ADMIN", "ROLE_IT_ADMIN");
  if (!gives) return <NotYours />;
  const complete = userIds.length > 0 && entitlementIds.length > 0;
  return (
    <Page title={t("admin.assign.title")} lead={t("admin.assign.lead")}>
      <section className="card">
        <ChosenPeople label={t("admin.assign.people")} hint={t("ask.personHint")} ids={userIds} onChange={setUsers} />
      </section>
      <section className="card">
        <FindApp label={t("admin.flows.chooseApp")} onFind={setApp} />
        {app && (
          <div className="choices">
            <h2>{app.name}</h2>
            <Within app={app.id} ids={entitlementIds} onChange={setEntitlements} />
          </div>
        )}
        <Chosen label={t("admin.apps.entitlements")} ids={entitlementIds} names={names} onChange={setEntitlements} />
      </section>
      <section className="card">
        <DateTime label={t("ask.time")} hint={t("admin.assign.untilHint")} value={until} onChange={setUntil} />
        <TextBox label={t("request.justification")} lines value={justification} onChange={setJustification} isRequired />
      </section>
      {complete && <Follows body={body} />}
      <div className="row">
        <Confirm
          trigger={
            <Button kind="main" isDisabled={!complete || justification.trim() === ""}>
              {t("admin.assign.give")}
            </Button>
          }
          title={t("admin.assign.confirm", { count: userIds.length })}
          action={t("admin.assign.give")}
          act={async (requestId) => {
            const made = (await client.POST("/v1/requests:assign", { body: { ...body, requestId, justification: justification.trim() } })).data?.requests ?? [];
            tell(t("admin.assign.given", { count: made.length }));
            await queries.invalidateQueries();
            const [only] = made;
            if (made.length === 1 && only?.id) await navigate({ to: "/requests/$id", params: { id: only.id } });
            else await navigate({ to: "/admin/requests", search: { view: "all" } });
          }}
        >
          <p>{t("admin.assign.confirmText")}</p>
        </Confirm>
      </div>
    </Page>
  );
}

/** What would follow: how accounts come in each app, and who would be left out or stands in the way. */
function Follows({ body }: { body: { userIds: string[]; entitlementIds: string[]; until?: string } }) {
  const { t } = useTranslation();
  // The words change nothing about it.
  const preview = api.useQuery("post", "/v1/requests:previewAssignment", { body: { assignment: { ...body, justification: "-" } } }, { placeholderData: keepPreviousData });
  const concerned = preview.data?.items?.filter((i) => i.refusal || i.skipped) ?? [];
  return (
    <section className="card" aria-labelledby="follows" aria-live="polite">
      <h2 id="follows">{t("ask.follows")}</h2>
      {preview.error && <ProblemNote error={preview.error} />}
      {!preview.error && (
        <ul className="stack tight">
          {preview.data?.apps?.map((app) => (
            <li key={app.appId} className="row apart">
              <span className="what">{app.appName}</span>
              <span className="quiet small">{t(`comes.${app.provisioning ?? "PROVISIONING_SUPPORT_UNSPECIFIED"}`)}</span>
            </li>
          ))}
          {concerned.map(({ user, item, refusal, skipped }) => (
            <li key={`${user?.userId} ${item?.entitlementId}`} className="row apart">
              <span className="what">
                {user?.displayName} · {item?.appName} · {item?.entitlementName}
              </span>
              <Tag tone={refusal ? "bad" : "warn"}>{t([`refusals.${refusal || skipped}` as "refusals.OTHER", "refusals.OTHER"])}</Tag>
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}
