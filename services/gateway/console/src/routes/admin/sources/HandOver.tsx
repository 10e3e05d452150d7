import { keepPreviousData, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { api, client, type Source, type User } from "@/api/client";
import { useUserNames } from "@/api/names";
import { Button } from "@/components/Button";
import { Choice } from "@/components/Choice";
import { ChosenPeople } from "@/components/Chosen";
import { Confirm } from "@/components/Confirm";
import { ProblemNote } from "@/components/ProblemNote";
import { TextBox } from "@/components/TextBox";
import { tell } from "@/components/Toasts";
import { type HandOverBody, handOverBody, handOverFields, unowned } from "./handOver";

/** So many are shown by name without being asked for. */
const few = 10;

/** Gives a source people whom no source owns, after showing who they are, and says who it was. */
export function HandOver({ source, onDone }: { source: Source; onDone: (users: User[]) => void }) {
  const { t } = useTranslation();
  const queries = useQueryClient();
  const [who, setWho] = useState<"all" | "some">("some");
  const [ids, setIds] = useState<string[]>([]);
  const [externalIds, setExternalIds] = useState<Record<string, string>>({});
  const names = useUserNames(ids);
  const body = handOverBody(who === "all", source.environmentId ?? "", ids, externalIds);
  const id = source.id ?? "";
  const give = async () => {
    const done: User[] = [];
    try {
      // A call takes some of those who fit; what has been given is said even if a later one fails.
      for (let more = true; more; ) {
        const { data } = await client.POST("/v1/sources/{id}:handOverUsers", { params: { path: { id } }, body });
        done.push(...(data?.users ?? []));
        more = data?.more === true;
      }
      if (done.length === 0) tell(t("admin.handOver.would", { count: 0 }));
    } finally {
      if (done.length > 0) onDone(done);
      await queries.invalidateQueries();
    }
  };
  return (
    <Confirm
      trigger={<Button aria-label={t("admin.handOver.openOf", { name: source.name })}>{t("admin.handOver.open")}</Button>}
      title={t("admin.handOver.title", { name: source.name })}
      fields={handOverFields(ids)}
      action={t("admin.handOver.action")}
      danger
      ready={body.filter !== undefined || ids.length > 0}
      onOpen={() => {
        setWho("some");
        setIds([]);
        setExternalIds({});
      }}
      act={give}
    >
      {(errors) => (
        <>
          <p>{t("admin.handOver.text", { name: source.name })}</p>
          <Choice label={t("admin.handOver.who")} value={who} onChange={setWho} choices={{ some: t("admin.handOver.some"), all: t("admin.handOver.all") }} />
          {who === "some" && (
            <>
              <ChosenPeople label={t("admin.handOver.people")} hint={t("admin.handOver.peopleHint")} filter={unowned(source.environmentId ?? "")} ids={ids} onChange={setIds} />
              {ids.map((user, i) => (
                <TextBox
                  key={user}
                  label={t("admin.handOver.externalId", { name: names(user) ?? "…" })}
                  hint={t("admin.handOver.externalIdHint")}
                  value={externalIds[user] ?? ""}
                  onChange={(externalId) => setExternalIds({ ...externalIds, [user]: externalId })}
                  error={errors[`users[${i}].userId`] ?? errors[`users[${i}].externalId`]}
                />
              ))}
            </>
          )}
          {who === "all" && <Preview id={id} body={body} />}
        </>
      )}
    </Confirm>
  );
}

/** Who it would be. */
function Preview({ id, body }: { id: string; body: HandOverBody }) {
  const { t } = useTranslation();
  const preview = api.useQuery("post", "/v1/sources/{id}:handOverUsers", { params: { path: { id } }, body: { ...body, validateOnly: true } }, { placeholderData: keepPreviousData });
  if (preview.error) return <ProblemNote error={preview.error} again={() => void preview.refetch()} />;
  const users = preview.data?.users ?? [];
  return (
    <div className="note stack tight" role="status">
      {preview.isPending ? (
        <p>{t("loading")}</p>
      ) : (
        <details open={users.length <= few}>
          <summary>{t(preview.data?.more ? "admin.handOver.wouldMore" : "admin.handOver.would", { count: users.length })}</summary>
          <ul>
            {users.map((user) => (
              <li key={user.id}>{[user.displayName, user.userName].join(" · ")}</li>
            ))}
          </ul>
        </details>
      )}
    </div>
  );
}

/** Who was given to a source, until somebody closes it. */
export function HandedOver({ source, users, onClose }: { source: Source; users: readonly User[]; onClose: () => void }) {
  const { t } = useTranslation();
  return (
    <div className="note stack tight" data-tone="good" role="status">
      <details open={users.length <= few}>
        <summary>{t("admin.handOver.done", { count: users.length, name: source.name })}</summary>
        <ul>
          {users.map((user) => (
            <li key={user.id}>
              <Link to="/admin/people/$id" params={{ id: user.id ?? "" }}>
                {user.displayName}
              </Link>
            </li>
          ))}
        </ul>
      </details>
      <div>
        <Button onPress={onClose}>{t("close")}</Button>
      </div>
    </div>
  );
}
