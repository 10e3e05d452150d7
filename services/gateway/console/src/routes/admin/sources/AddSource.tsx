import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { client } from "@/api/client";
import { useEnvironments } from "@/api/environments";
import { Button } from "@/components/Button";
import { Confirm } from "@/components/Confirm";
import { Copy } from "@/components/Copy";
import { SelectOrNone } from "@/components/Select";
import { ShownOnce } from "@/components/ShownOnce";
import { TextBox } from "@/components/TextBox";

/** Makes a source, and shows its token with the address to enter at the identity provider. */
export function AddSource() {
  const { t } = useTranslation();
  const queries = useQueryClient();
  const [name, setName] = useState("");
  const [environmentId, setEnvironment] = useState<string>();
  const [made, setMade] = useState<{ token: string; address: string }>();
  const environments = useEnvironments();
  const add = async (requestId: string) => {
    const { data } = await client.POST("/v1/sources", { body: { requestId, name: name.trim(), kind: "SOURCE_KIND_SCIM", environmentId } });
    setName("");
    setMade({ token: data?.token ?? "", address: data?.source?.scimBaseUrl ?? "" });
    await queries.invalidateQueries();
  };
  return (
    <>
      <Confirm
        trigger={<Button kind="main">{t("admin.sources.add")}</Button>}
        title={t("admin.sources.add")}
        fields={["name", "environmentId"]}
        action={t("admin.sources.addIt")}
        ready={name.trim() !== ""}
        act={add}
      >
        {(errors) => (
          <>
            <p>{t("admin.sources.addText")}</p>
            <TextBox label={t("admin.sources.name")} hint={t("admin.sources.nameHint")} value={name} onChange={setName} isRequired autoFocus error={errors.name} />
            {environments.length > 0 && (
              <SelectOrNone
                label={t("admin.people.environment")}
                value={environmentId}
                onChange={setEnvironment}
                none={t("admin.sources.ownPeople")}
                choices={environments.map((e) => [e.id ?? "", e.name ?? ""])}
                error={errors.environmentId}
              />
            )}
          </>
        )}
      </Confirm>
      {made && (
        <ShownOnce title={t("admin.sources.made")} label={t("admin.sources.token")} secret={made.token} lost={t("admin.sources.lost")} onClose={() => setMade(undefined)}>
          <p>{t("admin.sources.enter")}</p>
          <Copy label={t("admin.sources.address")} value={made.address} />
        </ShownOnce>
      )}
    </>
  );
}
