import { useNavigate } from "@tanstack/react-router";
import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { type App, client } from "@/api/client";
import { Ask } from "@/components/Ask";
import { Button } from "@/components/Button";
import { tell } from "@/components/Toasts";

/** Asks those who run an app, without a request. */
export function AskForHelp({ app }: { app: Pick<App, "id" | "name"> }) {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const queries = useQueryClient();
  // The same words sent twice, because no answer came, begin one conversation.
  const [requestId, setRequestId] = useState(() => crypto.randomUUID());
  return (
    <Ask
      trigger={<Button kind="plain" aria-label={t("questions.askAbout", { name: app.name })}>{t("questions.ask")}</Button>}
      title={t("questions.askAbout", { name: app.name })}
      label={t("questions.text")}
      hint={t("questions.hint")}
      needed
      field="text"
      action={t("request.send")}
      onOpen={() => setRequestId(crypto.randomUUID())}
      act={async (text) => {
        const { data } = await client.POST("/v1/conversations", { body: { requestId, appId: app.id ?? "", text } });
        tell(t("questions.sent"));
        await queries.invalidateQueries();
        await navigate({ to: "/questions/$id", params: { id: data?.conversation?.id ?? "" } });
      }}
    >
      <p>{t("questions.what")}</p>
    </Ask>
  );
}
