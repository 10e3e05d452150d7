import { useState, type ReactNode } from "react";
import { Dialog, DialogTrigger, Heading, Modal, ModalOverlay } from "react-aria-components";
import { useTranslation } from "react-i18next";
import { type FieldErrors, fieldErrors } from "@/api/fields";
import { Problem } from "@/api/problem";
import { Button } from "./Button";
import { ProblemNote } from "./ProblemNote";

interface Props<K extends string> {
  /** Opens the dialog. */
  trigger: ReactNode;
  title: string;
  /** What it means, or the fields of a form, which are given what is wrong with each. */
  children?: ReactNode | ((errors: FieldErrors<K>["of"]) => ReactNode);
  /** The names that the API has for the fields that are shown, below the message that it calls prefix. */
  fields?: readonly K[];
  prefix?: string;
  action: string;
  danger?: boolean;
  /** False while something is missing. */
  ready?: boolean;
  /** Fills the form anew. */
  onOpen?: () => void;
  onClose?: () => void;
  /** Does it, with an id that is the same when an answer was lost; the dialog stays open with the problem if that fails. */
  act: (requestId: string) => Promise<unknown>;
}

/** Asks before something is done, with whatever fields it takes. */
export function Confirm<K extends string = never>({ trigger, title, children, fields = [], prefix, action, danger, ready = true, onOpen, onClose, act }: Props<K>) {
  const { t } = useTranslation();
  const [requestId, setRequestId] = useState(() => crypto.randomUUID());
  const [error, setError] = useState<unknown>();
  const [busy, setBusy] = useState(false);
  const submit = async (close: () => void) => {
    setBusy(true);
    setError(undefined);
    try {
      await act(requestId);
      setRequestId(crypto.randomUUID());
      close();
    } catch (e) {
      // Without an answer it may have been done: only then is it the same call.
      if (!(e instanceof Problem && e.mayPass)) setRequestId(crypto.randomUUID());
      setError(e);
    } finally {
      setBusy(false);
    }
  };
  const errors = fieldErrors(error, fields, prefix);
  // Beside its field it need not be said again.
  const said = error instanceof Problem && Object.values<string | undefined>(errors.of).includes(error.message);
  return (
    <DialogTrigger
      onOpenChange={(open) => {
        setError(undefined);
        if (open) onOpen?.();
        else onClose?.();
      }}
    >
      {trigger}
      <ModalOverlay className="overlay" isDismissable>
        <Modal>
          <Dialog className="dialog">
            {({ close }) => (
              <form
                className="stack"
                onSubmit={(e) => {
                  e.preventDefault();
                  if (ready && !busy) void submit(close);
                }}
              >
                <Heading slot="title" level={2}>
                  {title}
                </Heading>
                {typeof children === "function" ? children(errors.of) : children}
                {error !== undefined && !said && <ProblemNote error={error} shown={errors.shown} />}
                <div className="row">
                  <Button type="submit" kind={danger ? "danger" : "main"} isPending={busy} isDisabled={!ready}>
                    {action}
                  </Button>
                  <Button onPress={close}>{t("cancel")}</Button>
                </div>
              </form>
            )}
          </Dialog>
        </Modal>
      </ModalOverlay>
    </DialogTrigger>
  );
}
