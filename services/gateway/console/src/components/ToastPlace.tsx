import { Text, UNSTABLE_Toast as Toast, UNSTABLE_ToastContent as ToastContent, UNSTABLE_ToastQueue as ToastQueue, UNSTABLE_ToastRegion as ToastRegion } from "react-aria-components";
import { useTranslation } from "react-i18next";
import { Button } from "./Button";

const queue = new ToastQueue<{ text: string }>({ maxVisibleToasts: 3 });

export function show(text: string): void {
  queue.add({ text }, { timeout: 6_000 });
}

/** Where toasts are shown. */
export function ToastPlace() {
  const { t } = useTranslation();
  return (
    <ToastRegion queue={queue} className="toasts" aria-label={t("notices")}>
      {({ toast }) => (
        <Toast toast={toast} className="toast">
          <ToastContent>
            <Text slot="title">{toast.content.text}</Text>
          </ToastContent>
          <Button slot="close">{t("close")}</Button>
        </Toast>
      )}
    </ToastRegion>
  );
}
