import { Dialog, Modal, ModalOverlay } from "react-aria-components";
import { useTranslation } from "react-i18next";
import { Found } from "./Found";

interface Props {
  isOpen: boolean;
  onOpenChange: (open: boolean) => void;
}

/** What the palette opens. */
export function FoundDialog({ isOpen, onOpenChange }: Props) {
  const { t } = useTranslation();
  return (
    <ModalOverlay className="overlay" isDismissable isOpen={isOpen} onOpenChange={onOpenChange}>
      <Modal>
        <Dialog className="dialog" aria-label={t("palette.open")}>
          <Found close={() => onOpenChange(false)} />
        </Dialog>
      </Modal>
    </ModalOverlay>
  );
}
