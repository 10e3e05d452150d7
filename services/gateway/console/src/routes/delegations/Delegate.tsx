import type { ZonedDateTime } from "@internationalized/date";
import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { client, type User } from "@/api/client";
import { useHasRole } from "@/api/me";
import { Button } from "@/components/Button";
import { Confirm } from "@/components/Confirm";
import { DateTime } from "@/components/DateTime";
import { People } from "@/components/People";
import { TextBox } from "@/components/TextBox";
import { tell } from "@/components/Toasts";

/** Has somebody decide for the caller or, by admins, for somebody else. */
export function Delegate() {
  const { t } = useTranslation();
  const queries = useQueryClient();
  const admin = useHasRole("ROLE_ADMIN", "ROLE_IT_ADMIN");
  const [delegator, setDelegator] = useState<User>();
  const [delegate, setDelegate] = useState<User>();
  const [from, setFrom] = useState<ZonedDateTime | null>(null);
  const [until, setUntil] = useState<ZonedDateTime | null>(null);
  const [reason, setReason] = useState("");
  return (
    <Confirm
      trigger={<Button kind="main">{t("delegations.add")}</Button>}
      title={t("delegations.add")}
      fields={["delegatorId", "delegateId", "from", "until", "reason"]}
      action={t("delegations.add")}
      ready={delegate !== undefined && until !== null}
      onOpen={() => {
        setDelegator(undefined);
        setDelegate(undefined);
        setFrom(null);
        setUntil(null);
        setReason("");
      }}
      act={async (requestId) => {
        await client.POST("/v1/delegations", {
          body: { delegatorId: delegator?.id, delegateId: delegate?.id ?? "", from: from?.toAbsoluteString(), until: until?.toAbsoluteString() ?? "", reason: reason.trim(), requestId },
        });
        tell(t("delegations.added", { name: delegate?.displayName }));
        await queries.invalidateQueries();
      }}
    >
      {(errors) => (
        <>
          <p>{t("delegations.text")}</p>
          {admin && <People label={t("delegations.delegator")} hint={t("delegations.delegatorHint")} error={errors.delegatorId} onChoose={setDelegator} />}
          <People label={t("delegations.delegate")} error={errors.delegateId} onChoose={setDelegate} />
          <DateTime label={t("delegations.from")} hint={t("delegations.fromHint")} value={from} onChange={setFrom} error={errors.from} />
          <DateTime label={t("delegations.until")} hint={t("delegations.untilHint")} value={until} onChange={setUntil} error={errors.until} />
          <TextBox label={t("delegations.reason")} value={reason} onChange={setReason} error={errors.reason} />
        </>
      )}
    </Confirm>
  );
}
