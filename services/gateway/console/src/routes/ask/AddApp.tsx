import { keepPreviousData } from "@tanstack/react-query";
import { useState } from "react";
import { ComboBox, Input, Label, ListBox, ListBoxItem, Popover } from "react-aria-components";
import { api, type App } from "@/api/client";

interface Props {
  label: string;
  except: readonly string[];
  onAdd: (app: string) => void;
}

/** Finds an app to ask for something in. */
export function AddApp({ label, except, onAdd }: Props) {
  const [words, setWords] = useState("");
  const found = api.useQuery("get", "/v1/apps", { params: { query: { query: words, pageSize: 20 } } }, { placeholderData: keepPreviousData });
  const apps = (found.data?.apps ?? []).filter((a) => !except.includes(a.id ?? ""));
  return (
    <ComboBox
      className="field"
      items={apps}
      inputValue={words}
      onInputChange={setWords}
      selectedKey={null}
      onSelectionChange={(key) => {
        if (key === null) return;
        onAdd(String(key));
        setWords("");
      }}
      menuTrigger="focus"
    >
      <Label>{label}</Label>
      <Input />
      <Popover className="popover">
        <ListBox<App> className="menu">
          {(app) => (
            <ListBoxItem id={app.id} textValue={app.name}>
              <span>{app.name}</span>
              <span className="quiet small">{app.description}</span>
            </ListBoxItem>
          )}
        </ListBox>
      </Popover>
    </ComboBox>
  );
}
