import { useQueryClient } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { api, client, type ParkedEvent } from "@/api/client";
import { useHasRole } from "@/api/me";
import { pageByPage } from "@/api/pages";
import { Button } from "@/components/Button";
import { Confirm } from "@/components/Confirm";
import { Empty } from "@/components/Empty";
import { Page } from "@/components/Page";
import { Row } from "@/components/Row";
import { Rows } from "@/components/Rows";
import { Tag } from "@/components/Tag";
import { Time } from "@/components/Time";
import { tell } from "@/components/Toasts";

/** The events that a service could not handle, with the way to handle each again. */
export function ParkedEvents() {
  const { t } = useTranslation();
  const replays = useHasRole("ROLE_ADMIN", "ROLE_IT_ADMIN");
  const found = api.useInfiniteQuery("get", "/v1/parkedEvents", { params: { query: { pageSize: 50 } } }, { ...pageByPage });
  return (
    <Page title={t("admin.pages.parked")} lead={t("admin.parked.lead")}>
      <Rows list={found} of={(p) => p.parkedEvents} id={(event) => `${event.service}/${event.eventId}`} empty={<Empty title={t("admin.parked.none")} />}>
        {(event) => (
          <Row>
            <div className="what">
              <span>{event.type}</span>
              <span className="pre small">{event.error}</span>
              <span className="quiet small">
                {t("admin.parked.tried", { count: event.attempts })} · {t("admin.parked.happened")} <Time at={event.eventTime ?? ""} /> · {t("admin.parked.parked")} <Time at={event.parkedTime ?? ""} relative />
              </span>
            </div>
            <Tag>{event.service}</Tag>
            {replays && <Replay event={event} />}
          </Row>
        )}
      </Rows>
    </Page>
  );
}

function Replay({ event }: { event: ParkedEvent }) {
  const { t } = useTranslation();
  const queries = useQueryClient();
  return (
    <Confirm
      trigger={<Button aria-label={t("admin.parked.replayWhat", { type: event.type })}>{t("admin.parked.replay")}</Button>}
      title={t("admin.parked.replayTitle")}
      action={t("admin.parked.replay")}
      act={async () => {
        try {
          await client.POST("/v1/parkedEvents/{service}/{event_id}:replay", { params: { path: { service: event.service ?? "", event_id: event.eventId ?? "" } } });
          tell(t("admin.parked.replayed"));
        } finally {
          await queries.invalidateQueries();
        }
      }}
    >
      <p>{t("admin.parked.replayText", { service: event.service })}</p>
    </Confirm>
  );
}
