import { getLocalTimeZone, now, type ZonedDateTime } from "@internationalized/date";
import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { api, client } from "@/api/client";
import { Button } from "@/components/Button";
import { Check } from "@/components/Check";
import { Choice } from "@/components/Choice";
import { Confirm } from "@/components/Confirm";
import { DateTime } from "@/components/DateTime";
import { SelectOrNone } from "@/components/Select";
import { ShownOnce } from "@/components/ShownOnce";
import { TextBox } from "@/components/TextBox";
import { Reaches } from "./Reaches";
import { type Reach, scopeError, scopesOf } from "./standing";

/** Makes a token for the caller, or for a service or an agent, and shows it once. */
export function AddToken() {
  const { t } = useTranslation();
  const queries = useQueryClient();
  const [name, setName] = useState("");
  const [userId, setUser] = useState<string>();
  const [end, setEnd] = useState<ZonedDateTime | null>(() => now(getLocalTimeZone()).add({ days: 90 }));
  const [readOnly, setReadOnly] = useState(false);
  const [narrow, setNarrow] = useState<"all" | "some">("all");
  const [reach, setReach] = useState<Reach>({});
  const [secret, setSecret] = useState<string>();
  const programs = api.useQuery("get", "/v1/users", {
    params: { query: { filter: "kind = USER_KIND_SERVICE OR kind = USER_KIND_AGENT", state: "USER_STATE_ACTIVE", pageSize: 1000 } },
  });
  const scopes = narrow === "some" ? scopesOf(reach) : [];
  const add = async (requestId: string) => {
    const { data } = await client.POST("/v1/apiTokens", {
      body: { requestId, name: name.trim(), userId, expireTime: end?.toAbsoluteString() ?? "", readOnly, scopes },
    });
    setName("");
    setSecret(data?.token ?? "");
    await queries.invalidateQueries();
  };
  return (
    <>
      <Confirm
        trigger={<Button kind="main">{t("admin.tokens.add")}</Button>}
        title={t("admin.tokens.add")}
        fields={["name", "userId", "expireTime", "scopes", "scopes[0]"]}
        action={t("admin.tokens.addIt")}
        ready={name.trim() !== "" && end !== null && (narrow === "all" || scopes.length > 0)}
        act={add}
      >
        {(errors) => (
          <>
            <TextBox label={t("admin.tokens.name")} value={name} onChange={setName} isRequired autoFocus error={errors.name} />
            <SelectOrNone
              label={t("admin.tokens.whose")}
              hint={t("admin.tokens.whoseHint")}
              value={userId}
              onChange={setUser}
              none={t("admin.tokens.me")}
              choices={(programs.data?.users ?? []).map((u) => [u.id ?? "", u.displayName ?? ""])}
              error={errors.userId}
            />
            <DateTime label={t("admin.tokens.ends")} hint={t("admin.tokens.endsHint")} value={end} onChange={setEnd} error={errors.expireTime} />
            <Check isSelected={readOnly} onChange={setReadOnly}>
              {t("admin.tokens.readOnly")}
            </Check>
            <Choice label={t("admin.tokens.scopes")} value={narrow} onChange={setNarrow} choices={{ all: t("admin.tokens.all"), some: t("admin.tokens.some") }} />
            {narrow === "some" && <Reaches value={reach} onChange={setReach} error={scopeError(errors)} />}
          </>
        )}
      </Confirm>
      {secret !== undefined && (
        <ShownOnce title={t("admin.tokens.made")} label={t("admin.tokens.token")} secret={secret} lost={t("admin.tokens.lost")} onClose={() => setSecret(undefined)} />
      )}
    </>
  );
}
