import { type ReactNode, useRef, useState } from "react";
import { Header, Menu, MenuItem, MenuSection, MenuTrigger, Popover, Separator } from "react-aria-components";
import { useTranslation } from "react-i18next";
import { Button } from "@/components/Button";
import { type Language, languages, speak } from "@/i18n";
import { setTheme, type Theme, theme, themes } from "@/theme";

interface Props {
  icon: ReactNode;
  name: string;
  organization: string;
}

/** Who one is, how the console looks and speaks, and the way out. */
export function AccountMenu({ icon, name, organization }: Props) {
  const { t, i18n } = useTranslation();
  const [chosen, choose] = useState<Theme>(theme());
  const signOut = useRef<HTMLFormElement>(null);
  return (
    <>
      {/* A form and not a call: it takes the cookie away, and signs out at the identity provider too. */}
      <form ref={signOut} method="post" action="/sign-out" />
      <MenuTrigger>
      <Button kind="plain">
        {icon} {name}
      </Button>
      <Popover className="popover" placement="bottom end">
        <Menu className="menu" aria-label={t("account.label")}>
          <MenuItem isDisabled textValue={organization}>
            <span className="quiet small">{organization}</span>
          </MenuItem>
          <Separator />
          <MenuSection
            selectionMode="single"
            selectedKeys={[chosen]}
            onSelectionChange={(keys) => {
              const next = themes.find((k) => keys !== "all" && keys.has(k)) ?? "system";
              setTheme(next);
              choose(next);
            }}
          >
            <Header className="quiet small">{t("account.theme")}</Header>
            {themes.map((k) => (
              <MenuItem key={k} id={k}>
                {k === chosen ? "✓ " : ""}
                {t(`account.themes.${k}`)}
              </MenuItem>
            ))}
          </MenuSection>
          <MenuSection>
            <Header className="quiet small">{t("account.language")}</Header>
            {(Object.keys(languages) as Language[]).map((l) => (
              <MenuItem key={l} id={`language-${l}`} onAction={() => void speak(l)}>
                {l === i18n.language ? "✓ " : ""}
                {languages[l]}
              </MenuItem>
            ))}
          </MenuSection>
          <Separator />
          <MenuItem id="reference" href="/reference" target="_blank">
            {t("account.reference")}
          </MenuItem>
          <MenuItem id="out" onAction={() => signOut.current?.submit()}>
            {t("account.signOut")}
          </MenuItem>
        </Menu>
      </Popover>
      </MenuTrigger>
    </>
  );
}
