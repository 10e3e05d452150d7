import { useState, type ReactNode } from "react";
import { Confirm, TextBox } from "./Confirm";

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
  /** What the words begin with. */
  begun?: string;
  /** The name that the API has for the words. */
  field?: string;
  action: string;
  danger?: boolean;
  onOpen?: () => void;
  onClose?: () => void;
  /** Does it; the dialog stays open with the problem if that fails. */
  act: (words: string) => Promise<unknown>;
}

/** Asks before something is done, with a box for words that go with it. */
export function Ask({ children, label, hint, needed, begun = "", field = "comment", act, ...props }: Props) {
  const [own, setWords] = useState<string>();
  const words = own ?? begun;
  return (
    <Confirm
      {...props}
      fields={[field]}
      ready={!needed || words.trim() !== ""}
      act={async () => {
        await act(words.trim());
        setWords(undefined);
      }}
    >
      {(errors) => (
        <>
          {children}
          <TextBox label={label} hint={hint} lines value={words} onChange={setWords} isRequired={needed} autoFocus error={errors[field]} />
        </>
      )}
    </Confirm>
  );
}
