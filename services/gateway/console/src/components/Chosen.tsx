import { ArrowUp, X } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { type Names, useUserNames } from "@/api/names";
import { Button } from "./Button";
import { People } from "./People";
import { Tag } from "./Tag";

interface Props {
  label: string;
  ids: readonly string[];
  names: Names;
  /** Of those who, or of what, is there no more. */
  gone?: readonly string[];
  /** Their order counts. */
  ordered?: boolean;
  onChange: (ids: string[]) => void;
}

/** What was chosen of many, with the way to leave each out. */
export function Chosen({ label, ids, names, gone = [], ordered, onChange }: Props) {
  const { t } = useTranslation();
  if (ids.length === 0) return null;
  return (
    <ul className="list" aria-label={label}>
      {ids.map((id, i) => {
        const name = names(id) ?? (gone.includes(id) ? t("goneName") : id);
        return (
          <li key={id}>
            <span className="what">{name}</span>
            {gone.includes(id) && <Tag tone="warn">{t("gone")}</Tag>}
            <span className="row">
              {ordered && i > 0 && (
                <Button kind="plain" aria-label={t("moveUp", { name })} onPress={() => onChange(ids.toSpliced(i, 1).toSpliced(i - 1, 0, id))}>
                  <ArrowUp size={16} aria-hidden />
                </Button>
              )}
              <Button kind="plain" aria-label={t("ask.removeApp", { name })} onPress={() => onChange(ids.filter((other) => other !== id))}>
                <X size={16} aria-hidden />
              </Button>
            </span>
          </li>
        );
      })}
    </ul>
  );
}

interface PeopleProps extends Omit<Props, "names"> {
  error?: string;
  hint?: string;
  /** One person at most. */
  one?: boolean;
  /** Also those who are suspended or have left. */
  anybody?: boolean;
  /** Only those who pass this filter of the API can be chosen. */
  filter?: string;
}

/** Chooses people, in an order if that counts. */
export function ChosenPeople({ label, hint, error, ids, onChange, one, anybody, filter, ...props }: PeopleProps) {
  const names = useUserNames(ids, anybody);
  // Somebody chosen a moment ago is known before the API is asked.
  const [known, setKnown] = useState<Record<string, string>>({});
  const [turn, setTurn] = useState(0);
  return (
    <div className="stack tight">
      <People
        key={turn}
        label={label}
        hint={hint}
        error={error}
        anybody={anybody}
        filter={filter}
        onChoose={(user) => {
          const id = user?.id;
          if (!id) return;
          setKnown({ ...known, [id]: user.displayName ?? "" });
          onChange(one ? [id] : [...ids.filter((other) => other !== id), id]);
          setTurn(turn + 1);
        }}
      />
      <Chosen {...props} label={label} ids={ids} onChange={onChange} names={(id) => known[id] ?? names(id)} />
    </div>
  );
}
