import { useNavigate } from "@tanstack/react-router";
import { type RefObject, useState } from "react";
import { Header, Menu, MenuItem, MenuSection, Popover, Separator } from "react-aria-components";
import { useTranslation } from "react-i18next";
import { type Language, languages, speak } from "@/i18n";
import { setTheme, type Theme, theme, themes } from "@/theme";

interface Props {
  triggerRef: RefObject<HTMLElement | null>;
  isOpen: boolean;
  onOpenChange: (open: boolean) => void;
  organization: string;
  signOut: () => void;
}

/** What the account menu opens. */
export function AccountPopover({ triggerRef, isOpen, onOpenChange, organization, signOut }: Props) {
  const { t, i18n } = useTranslation();
  const navigate = useNavigate();
  const [chosen, choose] = useState<Theme>(theme());
  return (
    <Popover className="popover" placement="bottom end" aria-label={t("account.label")} triggerRef={triggerRef} isOpen={isOpen} onOpenChange={onOpenChange}>
      <Menu className="menu" aria-label={t("account.label")} autoFocus="first" onClose={() => onOpenChange(false)}>
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
        <MenuItem id="delegations" onAction={() => void navigate({ to: "/delegations" })}>
          {t("delegations.title")}
        </MenuItem>
        <MenuItem id="reference" href="/reference" target="_blank">
          {t("account.reference")}
        </MenuItem>
        <MenuItem id="out" onAction={() => signOut()}>
          {t("account.signOut")}
        </MenuItem>
      </Menu>
    </Popover>
  );
}
