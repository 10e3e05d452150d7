import { keepPreviousData } from "@tanstack/react-query";
import { useState } from "react";
import { ComboBox } from "react-aria-components";
import { api } from "@/api/client";
import { containing } from "@/api/filter";
import { type Found, FoundList } from "./FoundList";

interface Props {
  label: string;
  hint?: string;
  error?: string;
  onFind: (found: Found) => void;
}

interface FindProps extends Props {
  items: readonly Found[];
  words: string;
  onWords: (words: string) => void;
}

/** Finds one of many by words, and is empty again. */
function Find({ label, hint, error, items, words, onWords, onFind }: FindProps) {
  // Clearing the words would open the list again: a new box is shown instead, with the focus of the old one.
  const [turn, setTurn] = useState(0);
  return (
    <ComboBox
      key={turn}
      autoFocus={turn > 0}
      className="field"
      items={items}
      inputValue={words}
      onInputChange={onWords}
      selectedKey={null}
      onSelectionChange={(key) => {
        const found = items.find((item) => item.id === key);
        if (!found) return;
        onFind(found);
        onWords("");
        setTurn(turn + 1);
      }}
      validationBehavior="aria"
      isInvalid={error !== undefined}
      menuTrigger={turn > 0 ? "input" : "focus"}
    >
      <FoundList label={label} hint={hint} error={error} />
    </ComboBox>
  );
}

/** Finds an app, other than some. */
export function FindApp({ except = [], ...props }: Props & { except?: readonly string[] }) {
  const [words, setWords] = useState("");
  const found = api.useQuery("get", "/v1/apps", { params: { query: { query: words, pageSize: 20 } } }, { placeholderData: keepPreviousData });
  const items = (found.data?.apps ?? []).filter((a) => !except.includes(a.id ?? "")).map((a) => ({ id: a.id ?? "", name: a.name ?? "", more: a.description }));
  return <Find {...props} items={items} words={words} onWords={setWords} />;
}

/** Finds a time zone. */
export function FindZone(props: Props) {
  const [words, setWords] = useState("");
  const zones = ["UTC", ...Intl.supportedValuesOf("timeZone")];
  const looked = words.trim().toLowerCase().replaceAll(" ", "_");
  const items = zones.filter((zone, i) => zones.indexOf(zone) === i && zone.toLowerCase().includes(looked)).slice(0, 50).map((zone) => ({ id: zone, name: zone }));
  return <Find {...props} items={items} words={words} onWords={setWords} />;
}

/** Finds a bundle, other than some. */
export function FindBundle({ except = [], ...props }: Props & { except?: readonly string[] }) {
  const [words, setWords] = useState("");
  const found = api.useQuery("get", "/v1/bundles", { params: { query: { filter: containing(words, ["name", "description"]), pageSize: 20 } } }, { placeholderData: keepPreviousData });
  const items = (found.data?.bundles ?? []).filter((b) => !except.includes(b.id ?? "")).map((b) => ({ id: b.id ?? "", name: b.name ?? "", more: b.description }));
  return <Find {...props} items={items} words={words} onWords={setWords} />;
}

/** Finds a group. */
export function FindGroup(props: Props) {
  const [words, setWords] = useState("");
  const found = api.useQuery("get", "/v1/groups", { params: { query: { query: words, pageSize: 20 } } }, { placeholderData: keepPreviousData });
  const items = (found.data?.groups ?? []).map((g) => ({ id: g.id ?? "", name: g.displayName ?? "" }));
  return <Find {...props} items={items} words={words} onWords={setWords} />;
}

/** Finds an environment, other than some. */
export function FindEnvironment({ except = [], ...props }: Props & { except?: readonly string[] }) {
  const [words, setWords] = useState("");
  const found = api.useQuery("get", "/v1/environments", { params: { query: { filter: containing(words, ["name"]), pageSize: 20 } } }, { placeholderData: keepPreviousData });
  const items = (found.data?.environments ?? []).filter((e) => !except.includes(e.id ?? "")).map((e) => ({ id: e.id ?? "", name: e.name ?? "" }));
  return <Find {...props} items={items} words={words} onWords={setWords} />;
}

/** Finds a group that an app has, and answers with what an entitlement of it is called there. */
export function FindInApp({ integration, ...props }: Props & { integration: string }) {
  const [words, setWords] = useState("");
  const found = api.useQuery(
    "get",
    "/v1/integrations/{id}/entitlements",
    { params: { path: { id: integration }, query: { kind: "ENTITLEMENT_KIND_GROUP", query: words, pageSize: 50 } } },
    { placeholderData: keepPreviousData, staleTime: 30_000 },
  );
  const items = (found.data?.entitlements ?? []).map((e) => ({ id: e.ref ?? "", name: e.displayName ?? "" }));
  return <Find {...props} error={props.error ?? found.error?.message} items={items} words={words} onWords={setWords} />;
}
