import { useRef } from "react";
import { useTranslation } from "react-i18next";
import { Button } from "./Button";
import { tell } from "./Toasts";

/** Something to be entered elsewhere, with a button that copies it. */
export function Copy({ label, value }: { label: string; value: string }) {
  const { t } = useTranslation();
  const shown = useRef<HTMLElement>(null);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(value);
      tell(t("admin.sources.copied"));
    } catch {
      // The browser does not let pages copy: it is selected, so that the person can.
      if (shown.current) getSelection()?.selectAllChildren(shown.current);
      tell(t("admin.sources.copyByHand"));
    }
  };
  return (
    <div className="stack tight">
      <span className="small quiet">{label}</span>
      <div className="once">
        <code ref={shown}>{value}</code>
        <Button onPress={() => void copy()} aria-label={t("admin.sources.copyWhat", { name: label })}>
          {t("admin.sources.copy")}
        </Button>
      </div>
    </div>
  );
}
