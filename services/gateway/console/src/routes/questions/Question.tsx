import { useQueryClient } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { api, client } from "@/api/client";
import { useHasRole, useMe } from "@/api/me";
import { conversationTones } from "@/api/states";
import { Button } from "@/components/Button";
import { Loading } from "@/components/Loading";
import { Page } from "@/components/Page";
import { ProblemNote } from "@/components/ProblemNote";
import { Tag } from "@/components/Tag";
import { Talk } from "@/components/Talk";
import { tell } from "@/components/Toasts";

const route = getRouteApi("/shell/questions/$id");

/** One question to those who run an app, with what was said since. */
export function Question() {
  const { t } = useTranslation();
  const { id } = route.useParams();
  const queries = useQueryClient();
  const me = useMe().data?.user?.id;
  const looksOnly = useHasRole("ROLE_RISK_MANAGER");
  const found = api.useQuery("get", "/v1/conversations/{id}", { params: { path: { id } } });
  const messages = api.useQuery("get", "/v1/conversations/{conversation_id}/messages", { params: { path: { conversation_id: id }, query: { pageSize: 1000 } } });
  const close = api.useMutation("post", "/v1/conversations/{id}:close", {
    onSuccess: async () => {
      tell(t("questions.closed"));
      await queries.invalidateQueries();
    },
  });
  const question = found.data?.conversation;
  if (!question) {
    return (
      <Page title={t("questions.one")}>
        {found.error ? <ProblemNote error={found.error} again={() => void found.refetch()} /> : <Loading />}
        <Link to="/questions">{t("questions.all")}</Link>
      </Page>
    );
  }
  const state = question.state ?? "CONVERSATION_STATE_UNSPECIFIED";
  const may = !looksOnly || question.asker?.userId === me;
  return (
    <Page
      title={t("questions.about", { name: question.appName })}
      lead={t("questions.from", { name: question.asker?.displayName })}
      actions={
        may &&
        state !== "CONVERSATION_STATE_CLOSED" && (
          <Button isPending={close.isPending} onPress={() => close.mutate({ params: { path: { id } } })}>
            {t("questions.close")}
          </Button>
        )
      }
    >
      <div className="row">
        <Tag tone={conversationTones[state]}>{t(`conversationStates.${state}`)}</Tag>
        {question.closingReason && <span className="quiet small">{question.closingReason}</span>}
        <Link to="/catalog/$id" params={{ id: question.appId ?? "" }}>
          {t("questions.toApp", { name: question.appName })}
        </Link>
      </div>
      {close.error && <ProblemNote error={close.error} />}
      <section className="stack tight" aria-labelledby="said">
        <h2 id="said">{t("questions.said")}</h2>
        {messages.isPending && <Loading />}
        {messages.error && <ProblemNote error={messages.error} again={() => void messages.refetch()} />}
        <Talk
          said={messages.data?.messages ?? []}
          label={t("questions.more")}
          hint={state === "CONVERSATION_STATE_CLOSED" ? t("questions.opensAgain") : undefined}
          may={may}
          say={(text, requestId) => client.POST("/v1/conversations/{conversation_id}/messages", { params: { path: { conversation_id: id } }, body: { requestId, text } })}
        />
      </section>
    </Page>
  );
}
