import { useState, type ReactNode } from "react";
import { Dialog, DialogTrigger, Heading, Modal, ModalOverlay } from "react-aria-components";
import { useTranslation } from "react-i18next";
import { Problem } from "@/api/problem";
import { Button } from "./Button";
import { ProblemNote } from "./ProblemNote";

interface Props {
  /** Opens the dialog. */
  trigger: ReactNode;
  title: string;
  /** What it means, before it is done, and the fields; with what the API says is wrong with each. */
  children?: ReactNode | ((errors: Readonly<Record<string, string>>) => ReactNode);
  /** The names that the API has for the fields: what is wrong with these stands beside them. */
  fields?: readonly string[];
  action: string;
  danger?: boolean;
  /** Whether the fields are filled in so far that it can be done. */
  ready?: boolean;
  /** Does it, with an id that is the same when an answer was lost; the dialog stays open with the problem if that fails. */
  act: (requestId: string) => Promise<unknown>;
}

/** Asks before something is done, with the fields that it needs. */
export function Confirm({ trigger, title, children, fields = [], action, danger, ready = true, act }: Props) {
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
  const errors = error instanceof Problem ? error.fields : {};
  // Beside its field it need not be said again.
  const said = error instanceof Problem && Object.entries(errors).some(([field, text]) => fields.includes(field) && text === error.message);
  return (
    <DialogTrigger onOpenChange={() => setError(undefined)}>
      {trigger}
      <ModalOverlay className="overlay" isDismissable>
        <Modal>
          <Dialog className="dialog">
            {({ close }) => (
              <form
                className="stack"
                onSubmit={(e) => {
                  e.preventDefault();
                  void submit(close);
                }}
              >
                <Heading slot="title" level={2}>
                  {title}
                </Heading>
                {typeof children === "function" ? children(errors) : children}
                {error !== undefined && !said && <ProblemNote error={error} shown={fields} />}
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
