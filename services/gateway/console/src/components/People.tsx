import { useState } from "react";
import { keepPreviousData } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { ComboBox } from "react-aria-components";
import { api, type User } from "@/api/client";
import { type Found, FoundList } from "./FoundList";

interface Props {
  label: string;
  hint?: string;
  error?: string;
  /** Also those who are suspended or have left: what is looked for may be about them. */
  anybody?: boolean;
  /** Only those who pass this filter of the API. */
  filter?: string;
  onChoose: (user: User | undefined) => void;
}

/** Finds one person by what they are called. */
export function People({ label, hint, error, anybody = false, filter, onChoose }: Props) {
  const { t } = useTranslation();
  const [typed, setTyped] = useState("");
  const [words, setWords] = useState("");
  const [chosen, choose] = useState<User>();
  const found = api.useQuery(
    "get",
    "/v1/users",
    { params: { query: { query: words, filter, pageSize: 20, state: anybody ? undefined : "USER_STATE_ACTIVE" } } },
    { placeholderData: keepPreviousData },
  );
  // Those who have left are listed only if they are asked for.
  const left = api.useQuery(
    "get",
    "/v1/users",
    { params: { query: { query: words, filter, pageSize: 20, state: "USER_STATE_REMOVED" } } },
    { placeholderData: keepPreviousData, enabled: anybody },
  );
  const users = [...(found.data?.users ?? []), ...(anybody ? (left.data?.users ?? []) : [])];
  // The box says who is chosen for as long as they are among what was found.
  if (chosen && !users.some((u) => u.id === chosen.id)) users.push(chosen);
  const items = users.map((user): Found => {
    const state = user.state !== "USER_STATE_ACTIVE" && t(`admin.people.states.${user.state ?? "USER_STATE_UNSPECIFIED"}`);
    return { id: user.id ?? "", name: user.displayName ?? "", more: [user.email, state].filter(Boolean).join(" · ") };
  });
  return (
    <ComboBox
      className="field"
      items={items}
      inputValue={typed}
      onInputChange={(text) => {
        setTyped(text);
        setWords(text);
      }}
      onSelectionChange={(key) => {
        const user = users.find((u) => u.id === key);
        if (user) {
          setTyped(user.displayName ?? "");
          setWords("");
        }
        choose(user);
        onChoose(user);
      }}
      validationBehavior="aria"
      isInvalid={error !== undefined}
      allowsEmptyCollection
      menuTrigger="focus"
    >
      <FoundList label={label} hint={hint} error={error} />
    </ComboBox>
  );
}
