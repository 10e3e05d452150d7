import type { ReactNode } from "react";
import { Dialog, Heading, Modal, ModalOverlay } from "react-aria-components";
import { useTranslation } from "react-i18next";
import { Button } from "./Button";

interface Props {
  isOpen: boolean;
  onOpenChange: (open: boolean) => void;
  title: string;
  children: ReactNode;
  action: string;
  danger?: boolean;
  ready: boolean;
  busy: boolean;
  submit: () => void;
}

/** What Confirm opens. */
export function ConfirmDialog({ isOpen, onOpenChange, title, children, action, danger, ready, busy, submit }: Props) {
  const { t } = useTranslation();
  return (
    <ModalOverlay className="overlay" isDismissable isOpen={isOpen} onOpenChange={onOpenChange}>
      <Modal>
        <Dialog className="dialog">
          <form
            className="stack"
            onSubmit={(e) => {
              e.preventDefault();
              if (ready && !busy) submit();
            }}
          >
            <Heading slot="title" level={2}>
              {title}
            </Heading>
            {children}
            <div className="row">
              <Button type="submit" kind={danger ? "danger" : "main"} isPending={busy} isDisabled={!ready}>
                {action}
              </Button>
              <Button onPress={() => onOpenChange(false)}>{t("cancel")}</Button>
            </div>
          </form>
        </Dialog>
      </Modal>
    </ModalOverlay>
  );
}
