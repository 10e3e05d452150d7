import { useNavigate } from "@tanstack/react-router";
import { useQueryClient } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { type App, client } from "@/api/client";
import { useOnce } from "@/api/once";
import { Ask } from "@/components/Ask";
import { Button } from "@/components/Button";
import { tell } from "@/components/Toasts";

/** Asks those who run an app, without a request. */
export function AskForHelp({ app }: { app: Pick<App, "id" | "name"> }) {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const queries = useQueryClient();
  // The same words sent twice, because no answer came, begin one conversation.
  const once = useOnce();
  return (
    <Ask
      trigger={<Button kind="plain" aria-label={t("questions.askAbout", { name: app.name })}>{t("questions.ask")}</Button>}
      title={t("questions.askAbout", { name: app.name })}
      label={t("questions.text")}
      hint={t("questions.hint")}
      needed
      field="text"
      action={t("request.send")}
      act={async (text) => {
        const { data } = await client.POST("/v1/conversations", { body: { requestId: once.idFor(text), appId: app.id ?? "", text } });
        once.sent();
        tell(t("questions.sent"));
        await queries.invalidateQueries();
        await navigate({ to: "/questions/$id", params: { id: data?.conversation?.id ?? "" } });
      }}
    >
      <p>{t("questions.what")}</p>
    </Ask>
  );
}
