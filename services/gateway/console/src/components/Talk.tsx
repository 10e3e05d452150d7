import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import type { Person } from "@/api/client";
import { useOnce } from "@/api/once";
import { Button } from "./Button";
import { ProblemNote } from "./ProblemNote";
import { TextBox } from "./TextBox";
import { Time } from "./Time";

interface Props {
  /** What was said, oldest first. */
  said: readonly { id?: string; author?: Person; text?: string; createTime?: string }[];
  label: string;
  hint?: string;
  /** Whether the caller may say something. */
  may: boolean;
  /** Says something, with an id that is the same when an answer was lost. */
  say: (text: string, requestId: string) => Promise<unknown>;
}

/** What people have said, and a box to say more. */
export function Talk({ said, label, hint, may, say }: Props) {
  const { t } = useTranslation();
  const queries = useQueryClient();
  const [text, setText] = useState("");
  // The same words sent twice, because no answer came, are said once.
  const once = useOnce();
  const add = useMutation({
    mutationFn: () => say(text.trim(), once.idFor(text.trim())),
    onSuccess: async () => {
      setText("");
      once.sent();
      await queries.invalidateQueries();
    },
  });
  return (
    <>
      {said.length > 0 && (
        <ul className="list">
          {said.map((one) => (
            <li key={one.id}>
              <div className="what">
                <span className="pre">{one.text}</span>
                <span className="quiet small">
                  {one.author?.displayName} · <Time at={one.createTime ?? ""} />
                </span>
              </div>
            </li>
          ))}
        </ul>
      )}
      {may && (
        <form
          className="stack tight"
          onSubmit={(e) => {
            e.preventDefault();
            if (text.trim() !== "" && !add.isPending) add.mutate();
          }}
        >
          <TextBox label={label} hint={hint} lines value={text} onChange={setText} />
          {add.error && <ProblemNote error={add.error} />}
          <div>
            <Button type="submit" isPending={add.isPending} isDisabled={text.trim() === ""}>
              {t("request.send")}
            </Button>
          </div>
        </form>
      )}
    </>
  );
}
