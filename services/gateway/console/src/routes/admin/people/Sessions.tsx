import { useQueryClient } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { api, client, type Session, type User } from "@/api/client";
import { pageByPage } from "@/api/pages";
import { Button } from "@/components/Button";
import { Confirm } from "@/components/Confirm";
import { Loading } from "@/components/Loading";
import { More } from "@/components/More";
import { ProblemNote } from "@/components/ProblemNote";
import { Tag } from "@/components/Tag";
import { Time } from "@/components/Time";
import { tell } from "@/components/Toasts";

/** Where somebody is signed in; each can be ended. */
export function Sessions({ user }: { user: User }) {
  const { t } = useTranslation();
  const sessions = api.useInfiniteQuery("get", "/v1/sessions", { params: { query: { userId: user.id, pageSize: 20 } } }, { ...pageByPage });
  const all = sessions.data?.pages.flatMap((p) => p.sessions ?? []) ?? [];
  return (
    <section className="stack tight" aria-labelledby="sessions">
      <h2 id="sessions">{t("admin.people.sessions")}</h2>
      {sessions.isPending && <Loading rows={1} />}
      {sessions.error && <ProblemNote error={sessions.error} again={() => void sessions.refetch()} />}
      {sessions.data && all.length === 0 && <p className="quiet">{t("admin.people.noSessions")}</p>}
      {all.length > 0 && (
        <ul className="list">
          {all.map((session) => (
            <SessionLine key={session.id} session={session} />
          ))}
        </ul>
      )}
      <More list={sessions} />
    </section>
  );
}

function SessionLine({ session }: { session: Session }) {
  const { t } = useTranslation();
  const queries = useQueryClient();
  const end = async () => {
    await client.POST("/v1/sessions/{id}:end", { params: { path: { id: session.id ?? "" } } });
    tell(t("admin.people.sessionEnded"));
    await queries.invalidateQueries();
  };
  return (
    <li>
      <div className="what">
        <span>{session.userAgent || t("admin.people.unknownAgent")}</span>
        <span className="quiet small">
          {t(`admin.people.methods.${session.method ?? "SIGN_IN_METHOD_UNSPECIFIED"}`)} <Time at={session.createTime ?? ""} />
          {session.lastUseTime && (
            <>
              {" · "}
              {t("admin.people.lastUsed")} <Time at={session.lastUseTime} relative />
            </>
          )}
        </span>
      </div>
      {session.current && <Tag tone="accent">{t("admin.people.thisSession")}</Tag>}
      <Confirm
        trigger={<Button kind="danger">{t("admin.people.endSession")}</Button>}
        title={t("admin.people.endSessionTitle")}
        action={t("admin.people.endSession")}
        danger
        act={end}
      >
        <p>{session.userAgent}</p>
        <p>{t(session.current ? "admin.people.endOwnSessionText" : "admin.people.endSessionText")}</p>
      </Confirm>
    </li>
  );
}
