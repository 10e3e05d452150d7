import { useState, type ReactNode } from "react";
import { Dialog, DialogTrigger, Heading, Modal, ModalOverlay } from "react-aria-components";
import { useTranslation } from "react-i18next";
import { Problem } from "@/api/problem";
import { Button } from "./Button";
import { ProblemNote } from "./ProblemNote";
import { TextBox } from "./TextBox";

interface Props {
  /** Opens the dialog. */
  trigger: ReactNode;
  title: string;
  /** What it means, before it is done. */
  children?: ReactNode;
  /** Of the box for words that go with it. */
  label: string;
  hint?: string;
  /** The words must not be empty. */
  needed?: boolean;
  /** The name that the API has for the words. */
  field?: string;
  action: string;
  danger?: boolean;
  /** Does it; the dialog stays open with the problem if that fails. */
  act: (words: string) => Promise<unknown>;
}

/** Asks before something is done, with a box for words that go with it. */
export function Ask({ trigger, title, children, label, hint, needed, field = "comment", action, danger, act }: Props) {
  const { t } = useTranslation();
  const [words, setWords] = useState("");
  const [error, setError] = useState<unknown>();
  const [busy, setBusy] = useState(false);
  const submit = async (close: () => void) => {
    setBusy(true);
    setError(undefined);
    try {
      await act(words.trim());
      setWords("");
      close();
    } catch (e) {
      setError(e);
    } finally {
      setBusy(false);
    }
  };
  const ofField = error instanceof Problem ? error.fields[field] : undefined;
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
                {children}
                <TextBox label={label} hint={hint} lines value={words} onChange={setWords} isRequired={needed} autoFocus error={ofField} />
                {error !== undefined && <ProblemNote error={error} shown={[field]} />}
                <div className="row">
                  <Button type="submit" kind={danger ? "danger" : "main"} isPending={busy} isDisabled={needed && words.trim() === ""}>
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
