import { useState } from "react";
import { useTranslation } from "react-i18next";
import { type AccountPreview, type App, client } from "@/api/client";
import { Button } from "@/components/Button";
import { More } from "@/components/More";
import { ProblemNote } from "@/components/ProblemNote";
import { Tag } from "@/components/Tag";
import { countsOf, foundTones, isLeftBehind, meaningOf, type Rules } from "./found";

interface Props {
  app: Pick<App, "id" | "name">;
  /** What decides what follows, as it would be saved. */
  rules: Rules;
  /** Where to look. Shown with another key, what was found is forgotten. */
  at: { integrationId: string } | { scim: { baseUrl: string; token: string } };
  /** Whether it is another place than where the accounts are known. */
  moves: boolean;
}

/** Looks up, page by page, what accounts of an app are found at a place, before something is changed to lead there. Nothing is changed by it. */
export function LookFirst({ app, rules, at, moves }: Props) {
  const { t } = useTranslation();
  const [found, setFound] = useState<readonly AccountPreview[]>();
  const [next, setNext] = useState("");
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  const ask = async (pageToken: string) => {
    setBusy(true);
    setError(undefined);
    try {
      const { data } = await client.POST("/v1/integrations:previewAccounts", { body: { appId: app.id ?? "", ...at, pageToken } });
      setFound([...(pageToken ? (found ?? []) : []), ...(data?.accounts ?? [])]);
      setNext(data?.nextPageToken ?? "");
    } catch (e) {
      setError(e);
    } finally {
      setBusy(false);
    }
  };
  const counts = countsOf(found ?? []).map(([kind, count]) => `${t(`admin.look.found.${kind}`)}: ${count}`);
  return (
    <section className="stack tight" aria-label={t("admin.look.title", { name: app.name })}>
      <div>
        <Button isPending={busy} onPress={() => void ask("")}>
          {t("admin.look.look", { name: app.name })}
        </Button>
      </div>
      <p className="quiet small">{t("admin.look.text")}</p>
      <p className="small" role="status">
        {found && (found.length === 0 ? t("admin.look.none") : `${t("admin.look.looked", { count: found.length })} ${counts.join(" · ")}`)}
      </p>
      {found && found.length > 0 && (
        <ul className="list">
          {found.map((preview) => (
            <Line key={preview.account?.id} preview={preview} rules={rules} moves={moves} />
          ))}
        </ul>
      )}
      {error !== undefined && <ProblemNote error={error} again={() => void ask(found ? next : "")} />}
      <More list={{ hasNextPage: next !== "", isFetchingNextPage: busy, fetchNextPage: () => ask(next) }} />
    </section>
  );
}

function Line({ preview, rules, moves }: { preview: AccountPreview; rules: Rules; moves: boolean }) {
  const { t } = useTranslation();
  const found = preview.found ?? "ACCOUNT_FOUND_UNSPECIFIED";
  const meaning = meaningOf(preview, rules);
  return (
    <li>
      <div className="what">
        <span>{preview.account?.user?.displayName}</span>
        {preview.foundUserName && <span className="small">{t("admin.look.called", { name: preview.foundUserName })}</span>}
        {preview.error && <span className="small">{preview.error}</span>}
        {meaning && <span className="quiet small">{t(`admin.look.means.${meaning}`)}</span>}
        {moves && isLeftBehind(preview, rules) && <span className="quiet small">{t("admin.look.left", { name: preview.account?.userName })}</span>}
      </div>
      <Tag tone={foundTones[found]}>{t(`admin.look.found.${found}`)}</Tag>
    </li>
  );
}
