import { Link, Outlet } from "@tanstack/react-router";
import { CircleUser, House, Inbox, KeyRound, LayoutGrid, MessageCircleQuestion, ScrollText, SlidersHorizontal } from "lucide-react";
import { useTranslation } from "react-i18next";
import { api } from "@/api/client";
import { useLive } from "@/api/live";
import { useMe } from "@/api/me";
import { Problem } from "@/api/problem";
import { Loading } from "@/components/Loading";
import { ProblemNote } from "@/components/ProblemNote";
import { adminRoles } from "@/routes/admin/pages";
import { AccountMenu } from "./AccountMenu";
import { Palette } from "./Palette";

/** What stands around every page of somebody who is signed in. */
export function Shell() {
  const { t } = useTranslation();
  const me = useMe();
  useLive(me.data !== undefined);
  if (me.isPending) return <Loading />;
  if (me.error) {
    // Nobody: the page to sign in is on its way.
    return me.error instanceof Problem && me.error.status === 401 ? <Loading /> : <ProblemNote error={me.error} again={() => void me.refetch()} />;
  }
  return (
    <div className="shell">
      <a className="skip" href="#main">
        {t("skip")}
      </a>
      <header>
        <Link to="/" className="brand">
          <img src="/icon.svg" alt="" width="28" height="28" /> Gatehouse
        </Link>
        <div className="row">
          <Palette />
          <AccountMenu icon={<CircleUser size={20} aria-hidden />} name={me.data.user?.displayName ?? ""} organization={me.data.organization?.name ?? ""} />
        </div>
      </header>
      <nav aria-label={t("nav.label")}>
        <ul>
          <li>
            <Link to="/" activeOptions={{ exact: true }}>
              <House size={18} aria-hidden /> {t("nav.home")}
            </Link>
          </li>
          <li>
            <Link to="/catalog">
              <LayoutGrid size={18} aria-hidden /> {t("nav.catalog")}
            </Link>
          </li>
          <li>
            <Link to="/requests">
              <ScrollText size={18} aria-hidden /> {t("nav.requests")}
            </Link>
          </li>
          <li>
            <Link to="/tasks">
              <Inbox size={18} aria-hidden /> {t("nav.tasks")} <Waiting />
            </Link>
          </li>
          <li>
            <Link to="/questions">
              <MessageCircleQuestion size={18} aria-hidden /> {t("nav.questions")} <ToAnswer />
            </Link>
          </li>
          <li>
            <Link to="/access">
              <KeyRound size={18} aria-hidden /> {t("nav.access")}
            </Link>
          </li>
          {adminRoles.includes(me.data.user?.role ?? "ROLE_UNSPECIFIED") && (
            <li>
              <Link to="/admin">
                <SlidersHorizontal size={18} aria-hidden /> {t("nav.admin")}
              </Link>
            </li>
          )}
        </ul>
      </nav>
      <main id="main" tabIndex={-1}>
        <Outlet />
      </main>
    </div>
  );
}

/** How many tasks are counted: to say more, each of them would have to be loaded. */
const counted = 20;

/** How many tasks wait for the caller; nothing if none. */
function Waiting() {
  const tasks = api.useQuery("get", "/v1/tasks", { params: { query: { state: "TASK_STATE_OPEN", pageSize: counted + 1 } } });
  return <Count count={tasks.data?.tasks?.length} />;
}

/** How many questions about the caller's apps have no answer; nothing if none. */
function ToAnswer() {
  const query = { view: "CONVERSATION_VIEW_TO_ANSWER", state: "CONVERSATION_STATE_WAITING", pageSize: counted + 1 } as const;
  const questions = api.useQuery("get", "/v1/conversations", { params: { query } });
  return <Count count={questions.data?.conversations?.length} />;
}

function Count({ count = 0 }: { count: number | undefined }) {
  const { t } = useTranslation();
  if (count === 0) return null;
  return (
    <span className="tag" data-tone="accent">
      {count > counted ? `${counted}+` : count} <span className="hidden">{t("nav.waiting")}</span>
    </span>
  );
}
