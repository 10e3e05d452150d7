import { keepPreviousData } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { Autocomplete, Header, Input, Label, Menu, MenuItem, MenuSection, SearchField } from "react-aria-components";
import { useTranslation } from "react-i18next";
import { api } from "@/api/client";
import { useAbout } from "@/components/RequestLine";

const pages = [
  { to: "/", name: "home" },
  { to: "/catalog", name: "catalog" },
  { to: "/ask", name: "ask" },
  { to: "/requests", name: "requests" },
  { to: "/tasks", name: "tasks" },
  { to: "/access", name: "access" },
] as const;

/** What is found by some words: pages, apps and the viewer's own requests. */
export function Found({ close }: { close: () => void }) {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const about = useAbout();
  const [words, setWords] = useState("");
  const apps = api.useQuery("get", "/v1/apps", { params: { query: { query: words, pageSize: 6 } } }, { placeholderData: keepPreviousData });
  const requests = api.useQuery("get", "/v1/requests", { params: { query: { view: "REQUEST_VIEW_MY_OPEN", pageSize: 50 } } });
  const has = (text: string) => text.toLocaleLowerCase().includes(words.trim().toLocaleLowerCase());
  const places = pages.filter((p) => has(t(`nav.${p.name}`)));
  const mine = (requests.data?.requests ?? []).filter((r) => has(about(r))).slice(0, 6);
  return (
    <Autocomplete inputValue={words} onInputChange={setWords}>
      <SearchField className="field" autoFocus>
        <Label>{t("palette.open")}</Label>
        <Input placeholder={t("palette.hint")} />
      </SearchField>
      <Menu className="menu" aria-label={t("palette.found")} onAction={close} renderEmptyState={() => <p className="quiet">{t("palette.nothing")}</p>}>
        {places.length > 0 && (
          <MenuSection>
            <Header className="quiet small">{t("nav.label")}</Header>
            {places.map((p) => (
              <MenuItem key={p.to} id={p.to} onAction={() => void navigate({ to: p.to })}>
                {t(`nav.${p.name}`)}
              </MenuItem>
            ))}
          </MenuSection>
        )}
        {!!apps.data?.apps?.length && (
          <MenuSection>
            <Header className="quiet small">{t("palette.apps")}</Header>
            {apps.data.apps.map((app) => (
              <MenuItem key={app.id} id={app.id} textValue={app.name} onAction={() => void navigate({ to: "/ask", search: { app: app.id } })}>
                {app.name}
              </MenuItem>
            ))}
          </MenuSection>
        )}
        {mine.length > 0 && (
          <MenuSection>
            <Header className="quiet small">{t("home.requests")}</Header>
            {mine.map((r) => (
              <MenuItem key={r.id} id={r.id} textValue={about(r)} onAction={() => void navigate({ to: "/requests/$id", params: { id: r.id ?? "" } })}>
                {about(r)}
              </MenuItem>
            ))}
          </MenuSection>
        )}
      </Menu>
    </Autocomplete>
  );
}
