import { Search } from "lucide-react";
import { useEffect, useState } from "react";
import { useTranslation } from "react-i18next";
import { Button } from "@/components/Button";
import { later } from "@/components/later";
import { Opener } from "@/components/Opener";

const FoundDialog = later(() => import("./FoundDialog").then((m) => m.FoundDialog));

/** Where one gets to everything by its name: Ctrl+K, or ⌘K. */
export function Palette() {
  const { t } = useTranslation();
  const [open, setOpen] = useState<boolean>();
  useEffect(() => {
    const onKey = (e: KeyboardEvent) => {
      if (e.key.toLowerCase() === "k" && (e.ctrlKey || e.metaKey) && !e.altKey && !e.shiftKey) {
        e.preventDefault();
        setOpen((was) => !was);
      }
    };
    window.addEventListener("keydown", onKey);
    return () => window.removeEventListener("keydown", onKey);
  }, []);
  return (
    <>
      <Opener opens="dialog" isOpen={open ?? false} onOpen={() => setOpen(true)} ahead={FoundDialog.ahead}>
        <Button aria-label={t("palette.open")} aria-keyshortcuts="Control+K Meta+K">
          <Search size={16} aria-hidden /> <span className="unless-narrow">{t("palette.open")}</span>
        </Button>
      </Opener>
      {open !== undefined && <FoundDialog isOpen={open} onOpenChange={setOpen} />}
    </>
  );
}
