import type { ReactNode } from "react";
import { Dialog, Heading, Modal, ModalOverlay } from "react-aria-components";
import { useTranslation } from "react-i18next";
import { Button } from "./Button";
import { Copy } from "./Copy";

interface Props {
  title: string;
  /** What it is called. */
  label: string;
  /** The secret. Empty: the answer that had it was lost. */
  secret: string;
  /** What to do if it was lost. */
  lost: string;
  /** What else to enter where the secret goes. */
  children?: ReactNode;
  onClose: () => void;
}

/** Shows a secret that nobody is shown again; it stays until somebody says that they have it. */
export function ShownOnce({ title, label, secret, lost, children, onClose }: Props) {
  const { t } = useTranslation();
  return (
    <ModalOverlay className="overlay" isOpen isKeyboardDismissDisabled>
      <Modal>
        <Dialog className="dialog">
          <Heading slot="title" level={2}>
            {title}
          </Heading>
          {children}
          {secret ? <Copy label={label} value={secret} /> : null}
          <p className="note" data-tone="warn">
            {secret ? t("admin.sources.once") : lost}
          </p>
          <div>
            <Button kind="main" onPress={onClose}>
              {t(secret ? "admin.sources.haveIt" : "close")}
            </Button>
          </div>
        </Dialog>
      </Modal>
    </ModalOverlay>
  );
}
