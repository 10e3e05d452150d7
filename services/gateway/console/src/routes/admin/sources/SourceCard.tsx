import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { client, type Source, type User } from "@/api/client";
import { useHasRole } from "@/api/me";
import { Button } from "@/components/Button";
import { Choice } from "@/components/Choice";
import { Confirm } from "@/components/Confirm";
import { Copy } from "@/components/Copy";
import { ShownOnce } from "@/components/ShownOnce";
import { Tag } from "@/components/Tag";
import { Time } from "@/components/Time";
import { tell } from "@/components/Toasts";
import { HandedOver, HandOver } from "./HandOver";

/** A source: whom it brings, when it last called, and where it pushes to. */
export function SourceCard({ source }: { source: Source }) {
  const { t } = useTranslation();
  const may = useHasRole("ROLE_ADMIN");
  const [given, setGiven] = useState<User[]>();
  return (
    <section className="card" aria-label={source.name}>
      <div className="row apart">
        <h2>{source.name}</h2>
        <Tag>{t("admin.sources.people", { count: source.userCount ?? 0 })}</Tag>
      </div>
      <p className="quiet small">
        {source.lastSeenTime ? (
          <>
            {t("admin.sources.lastSeen")} <Time at={source.lastSeenTime} relative />
          </>
        ) : (
          t("admin.sources.neverSeen")
        )}
        {" · "}
        {t("admin.sources.since")} <Time at={source.createTime ?? ""} />
      </p>
      <Copy label={t("admin.sources.address")} value={source.scimBaseUrl ?? ""} />
      {given && <HandedOver source={source} users={given} onClose={() => setGiven(undefined)} />}
      {may && (
        <div className="row">
          <HandOver source={source} onDone={setGiven} />
          <Rotate source={source} />
          <Delete source={source} />
        </div>
      )}
    </section>
  );
}

function Rotate({ source }: { source: Source }) {
  const { t } = useTranslation();
  const queries = useQueryClient();
  const [token, setToken] = useState<string>();
  const rotate = async () => {
    const { data } = await client.POST("/v1/sources/{id}:rotateToken", { params: { path: { id: source.id ?? "" } } });
    setToken(data?.token ?? "");
    await queries.invalidateQueries();
  };
  return (
    <>
      <Confirm
        trigger={<Button aria-label={t("admin.sources.rotateOf", { name: source.name })}>{t("admin.sources.rotate")}</Button>}
        title={t("admin.sources.rotateTitle", { name: source.name })}
        action={t("admin.sources.rotate")}
        danger
        act={rotate}
      >
        <p>{t("admin.sources.rotateText")}</p>
      </Confirm>
      {token !== undefined && (
        <ShownOnce title={t("admin.sources.rotated", { name: source.name })} label={t("admin.sources.token")} secret={token} lost={t("admin.sources.lost")} onClose={() => setToken(undefined)}>
          <p>{t("admin.sources.enter")}</p>
          <Copy label={t("admin.sources.address")} value={source.scimBaseUrl ?? ""} />
        </ShownOnce>
      )}
    </>
  );
}

/** Ends a source; what becomes of its people must be said. */
function Delete({ source }: { source: Source }) {
  const { t } = useTranslation();
  const queries = useQueryClient();
  const [users, setUsers] = useState<"SOURCE_USERS_KEEP" | "SOURCE_USERS_REMOVE">("SOURCE_USERS_KEEP");
  const owns = (source.userCount ?? 0) > 0;
  const remove = async () => {
    await client.DELETE("/v1/sources/{id}", { params: { path: { id: source.id ?? "" }, query: { etag: source.etag, ...(owns && { users }) } } });
    tell(t("admin.sources.deleted", { name: source.name }));
    await queries.invalidateQueries();
  };
  return (
    <Confirm
      trigger={
        <Button kind="danger" aria-label={t("admin.sources.deleteOf", { name: source.name })}>
          {t("admin.sources.delete")}
        </Button>
      }
      title={t("admin.sources.deleteTitle", { name: source.name })}
      action={t("admin.sources.delete")}
      danger
      act={remove}
    >
      <p>{t("admin.sources.deleteText")}</p>
      {owns && (
        <>
          <p>{t("admin.sources.owns", { count: source.userCount })}</p>
          <Choice
            label={t("admin.sources.become")}
            value={users}
            onChange={setUsers}
            choices={{ SOURCE_USERS_KEEP: t("admin.sources.keep"), SOURCE_USERS_REMOVE: t("admin.sources.remove") }}
          />
          {users === "SOURCE_USERS_REMOVE" && (
            <p className="note" data-tone="bad">
              {t("admin.sources.removeText")}
            </p>
          )}
        </>
      )}
    </Confirm>
  );
}
