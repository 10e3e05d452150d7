import { getRouteApi, Link } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { api, type Conversation } from "@/api/client";
import { pageByPage } from "@/api/pages";
import { conversationTones } from "@/api/states";
import { AppIconOf } from "@/components/AppIcon";
import { Empty } from "@/components/Empty";
import { Page } from "@/components/Page";
import { Row } from "@/components/Row";
import { Rows } from "@/components/Rows";
import { Tag } from "@/components/Tag";
import { Time } from "@/components/Time";

const route = getRouteApi("/shell/questions");

/** What the caller has asked those who run apps, and what they are to answer. */
export function Questions() {
  const { t } = useTranslation();
  const { answer } = route.useSearch();
  const view = answer ? "CONVERSATION_VIEW_TO_ANSWER" : "CONVERSATION_VIEW_MINE";
  const list = api.useInfiniteQuery("get", "/v1/conversations", { params: { query: { view, pageSize: 50 } } }, { ...pageByPage });
  return (
    <Page title={t("nav.questions")} lead={t("questions.lead")}>
      <nav className="tabs" aria-label={t("nav.questions")}>
        <Link to="/questions" search={{}} activeOptions={{ exact: true, includeSearch: true }}>
          {t("questions.mine")}
        </Link>
        <Link to="/questions" search={{ answer: true }} activeOptions={{ exact: true, includeSearch: true }}>
          {t("questions.toAnswer")}
        </Link>
      </nav>
      <Rows
        list={list}
        of={(p) => p.conversations}
        id={(one) => one.id}
        empty={
          <Empty title={t(answer ? "questions.noneToAnswer" : "questions.none")}>
            {!answer && (
              <Link to="/catalog" className="button">
                {t("home.look")}
              </Link>
            )}
          </Empty>
        }
      >
        {(one) => <Question question={one} />}
      </Rows>
    </Page>
  );
}

function Question({ question }: { question: Conversation }) {
  const { t } = useTranslation();
  const state = question.state ?? "CONVERSATION_STATE_UNSPECIFIED";
  return (
    <Row>
      <AppIconOf id={question.appId} name={question.appName} />
      <div className="what">
        <Link to="/questions/$id" params={{ id: question.id ?? "" }}>
          {question.opening}
        </Link>
        <span className="quiet small">
          {question.appName} · {question.asker?.displayName} · <Time at={question.updateTime ?? ""} relative />
        </span>
      </div>
      <Tag tone={conversationTones[state]}>{t(`conversationStates.${state}`)}</Tag>
    </Row>
  );
}
