import { useState, type ReactNode } from "react";
import { type FieldErrors, fieldErrors } from "@/api/fields";
import { Problem } from "@/api/problem";
import { later } from "./later";
import { Opener } from "./Opener";
import { ProblemNote } from "./ProblemNote";

/** Comes with the dialog: most have one. */
export const TextBox = later(() => import("./TextBox").then((m) => m.TextBox));
export const ConfirmDialog = later(async () => (await Promise.all([import("./ConfirmDialog"), TextBox.ahead()]))[0].ConfirmDialog);

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
  const [open, setOpen] = useState<boolean>();
  const [requestId, setRequestId] = useState(() => crypto.randomUUID());
  const [error, setError] = useState<unknown>();
  const [busy, setBusy] = useState(false);
  const change = (open: boolean) => {
    setError(undefined);
    setOpen(open);
    if (open) onOpen?.();
    else onClose?.();
  };
  const submit = async () => {
    setBusy(true);
    setError(undefined);
    try {
      await act(requestId);
      setRequestId(crypto.randomUUID());
      change(false);
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
    <>
      <Opener opens="dialog" isOpen={open ?? false} onOpen={() => change(true)} ahead={ConfirmDialog.ahead}>
        {trigger}
      </Opener>
      {open !== undefined && (
        <ConfirmDialog isOpen={open} onOpenChange={change} title={title} action={action} danger={danger} ready={ready} busy={busy} submit={() => void submit()}>
          {typeof children === "function" ? children(errors.of) : children}
          {error !== undefined && !said && <ProblemNote error={error} shown={errors.shown} look={() => change(false)} />}
        </ConfirmDialog>
      )}
    </>
  );
}
