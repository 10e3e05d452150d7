import type { ZonedDateTime } from "@internationalized/date";
import { useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { client } from "@/api/client";
import { Button } from "@/components/Button";
import { Choice } from "@/components/Choice";
import { Confirm } from "@/components/Confirm";
import { DateTime } from "@/components/DateTime";
import { People } from "@/components/People";
import { TextBox } from "@/components/TextBox";
import { tell } from "@/components/Toasts";

/** Makes a service or an agent. People come from sources. */
export function AddProgram() {
  const { t } = useTranslation();
  const queries = useQueryClient();
  const navigate = useNavigate();
  const [kind, setKind] = useState<"USER_KIND_SERVICE" | "USER_KIND_AGENT">("USER_KIND_SERVICE");
  const [displayName, setDisplayName] = useState("");
  const [userName, setUserName] = useState("");
  const [purpose, setPurpose] = useState("");
  const [accountable, setAccountable] = useState<string>();
  const [end, setEnd] = useState<ZonedDateTime | null>(null);
  const add = async (requestId: string) => {
    const { data } = await client.POST("/v1/users", {
      body: {
        requestId,
        kind,
        displayName: displayName.trim(),
        userName: userName.trim(),
        purpose: purpose.trim(),
        accountableUserId: accountable ?? "",
        endTime: end?.toAbsoluteString() ?? "",
      },
    });
    tell(t("admin.people.added", { name: displayName.trim() }));
    await queries.invalidateQueries();
    await navigate({ to: "/admin/people/$id", params: { id: data?.user?.id ?? "" } });
  };
  return (
    <Confirm
      trigger={<Button kind="main">{t("admin.people.add")}</Button>}
      title={t("admin.people.add")}
      fields={["displayName", "userName", "purpose", "accountableUserId", "endTime"]}
      action={t("admin.people.addIt")}
      ready={displayName.trim() !== "" && userName.trim() !== "" && purpose.trim() !== "" && accountable !== undefined && end !== null}
      act={add}
    >
      {(errors) => (
        <>
          <p>{t("admin.people.addText")}</p>
          <Choice
            label={t("admin.people.kind")}
            value={kind}
            onChange={setKind}
            choices={{ USER_KIND_SERVICE: t("admin.people.kinds.USER_KIND_SERVICE"), USER_KIND_AGENT: t("admin.people.kinds.USER_KIND_AGENT") }}
          />
          <TextBox label={t("admin.people.name")} value={displayName} onChange={setDisplayName} isRequired error={errors.displayName} />
          <TextBox label={t("admin.people.userName")} hint={t("admin.people.userNameHint")} value={userName} onChange={setUserName} isRequired error={errors.userName} />
          <TextBox label={t("admin.people.purpose")} value={purpose} onChange={setPurpose} isRequired error={errors.purpose} />
          <People label={t("admin.people.accountable")} hint={t("ask.personHint")} error={errors.accountableUserId} onChoose={(user) => setAccountable(user?.id)} />
          <DateTime label={t("admin.people.ends")} value={end} onChange={setEnd} error={errors.endTime} />
        </>
      )}
    </Confirm>
  );
}
