import { Search } from "lucide-react";
import { lazy, Suspense, useEffect, useState } from "react";
import { Dialog, Modal, ModalOverlay } from "react-aria-components";
import { useTranslation } from "react-i18next";
import { Button } from "@/components/Button";
import { Loading } from "@/components/Loading";

const Found = lazy(() => import("./Found").then((m) => ({ default: m.Found })));

/** Where one gets to everything by its name: Ctrl+K, or ⌘K. */
export function Palette() {
  const { t } = useTranslation();
  const [open, setOpen] = useState(false);
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
      <Button onPress={() => setOpen(true)} aria-label={t("palette.open")} aria-keyshortcuts="Control+K Meta+K">
        <Search size={16} aria-hidden /> <span className="unless-narrow">{t("palette.open")}</span>
      </Button>
      <ModalOverlay className="overlay" isDismissable isOpen={open} onOpenChange={setOpen}>
        <Modal>
          <Dialog className="dialog" aria-label={t("palette.open")}>
            <Suspense fallback={<Loading />}>
              <Found close={() => setOpen(false)} />
            </Suspense>
          </Dialog>
        </Modal>
      </ModalOverlay>
    </>
  );
}
