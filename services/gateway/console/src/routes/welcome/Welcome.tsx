import { getRouteApi } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { api } from "@/api/client";
import { Problem } from "@/api/problem";
import { Button } from "@/components/Button";
import { Loading } from "@/components/Loading";
import { Page } from "@/components/Page";
import { ProblemNote } from "@/components/ProblemNote";
import { Tag } from "@/components/Tag";

const route = getRouteApi("/welcome");

/** Where people sign in: at their identity provider or, where it is on, as one of the development people. */
export function Welcome() {
  const { t } = useTranslation();
  const { to, failed } = route.useSearch();
  const people = api.useQuery("get", "/v1/sessions:devPeople", {}, { refetchInterval: (q) => (q.state.data?.users?.length ? false : 2_000) });
  const off = people.error instanceof Problem && people.error.reason === "DEV_SIGN_IN_OFF";
  const users = people.data?.users ?? [];
  return (
    <main className="welcome">
      <Page title={t("welcome.title")} lead={t("welcome.lead")}>
        <div>
          <a className="button" data-kind={off ? "main" : undefined} href={`/sign-in?return_to=${encodeURIComponent(local(to))}`}>
            {t("welcome.provider")}
          </a>
        </div>
        {!off && <h2>{t("welcome.people")}</h2>}
        {people.isPending && <Loading />}
        {people.error && !off && <ProblemNote error={people.error} />}
        {failed && (
          <p className="note" data-tone="bad" role="alert">
            {t("welcome.failed")}
          </p>
        )}
        {people.data && users.length === 0 && <p className="note">{t("welcome.nobody")}</p>}
        {users.length > 0 && (
          <ul className="list">
            {users.map((user) => (
              <li key={user.id}>
                <div className="what">
                  <strong>{user.displayName}</strong>
                  <span className="quiet small">{[user.title, user.department, user.userName].filter(Boolean).join(" · ")}</span>
                </div>
                {user.role && user.role !== "ROLE_MEMBER" && <Tag tone="accent">{t(`roles.${user.role}`)}</Tag>}
                {/* A form and not a call: the session goes into a cookie that no script sees. */}
                <form method="post" action="/sign-in">
                  <input type="hidden" name="user_name" value={user.id} />
                  <input type="hidden" name="return_to" value={local(to)} />
                  <Button type="submit" aria-label={t("welcome.as", { name: user.displayName })}>
                    {t("welcome.signIn")}
                  </Button>
                </form>
              </li>
            ))}
          </ul>
        )}
      </Page>
    </main>
  );
}

/** A place of this console; anything else is the home page. */
function local(to: string | undefined): string {
  return to !== undefined && to.startsWith("/") && !to.startsWith("//") && !to.includes("\\") ? to : "/";
}
