import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { client, type User } from "@/api/client";
import { useEnvironments } from "@/api/environments";
import { oneOf, roles } from "@/api/kinds";
import { useMe } from "@/api/me";
import { Problem } from "@/api/problem";
import { Button } from "@/components/Button";
import { Confirm } from "@/components/Confirm";
import { SelectOrNone } from "@/components/Select";
import { tell } from "@/components/Toasts";

/** Changes what a user may do in Gatehouse, with what that means. */
export function SetRole({ user }: { user: User }) {
  const { t } = useTranslation();
  const queries = useQueryClient();
  const [role, setRole] = useState(oneOf(user.role, roles));
  const [environment, setEnvironment] = useState(user.roleEnvironmentId || undefined);
  const environments = useEnvironments();
  const program = user.kind === "USER_KIND_SERVICE" || user.kind === "USER_KIND_AGENT";
  const powerful = role === "ROLE_ADMIN" || role === "ROLE_IT_ADMIN" || role === "ROLE_RISK_MANAGER";
  const me = useMe().data?.user;
  const set = (body: Pick<User, "role" | "roleEnvironmentId">) => client.POST("/v1/users/{id}:setRole", { params: { path: { id: user.id ?? "" } }, body });
  const change = async () => {
    if (!role) return;
    const { roleEnvironmentId, role: before = "ROLE_UNSPECIFIED" } = user;
    const given = (await set({ role, roleEnvironmentId: user.environmentId ? roleEnvironmentId : (environment ?? "") })).data?.user;
    const undo = async () => {
      // The notice stays for as long as nobody closes it: what others have decided since is not taken back by it.
      const now = (await client.GET("/v1/users/{id}", { params: { path: { id: user.id ?? "" } } })).data?.user;
      if (now?.role !== given?.role || now?.roleEnvironmentId !== given?.roleEnvironmentId) throw new Problem(409, "ROLE_CHANGED", t("admin.undo.changed"));
      await set({ role: before, roleEnvironmentId });
      void queries.invalidateQueries();
      return t("admin.people.roleSet");
    };
    // The API tokens of a program do not come back, and nobody gives a role back to themselves.
    const comesBack = !program && user.id !== me?.id;
    tell(t("admin.people.roleSet"), comesBack ? { label: t("admin.undo.role", { role: t(`roles.${before}`) }), act: undo } : undefined);
    await queries.invalidateQueries();
  };
  return (
    <Confirm
      trigger={<Button>{t("admin.people.setRole")}</Button>}
      title={t("admin.people.setRoleTitle", { name: user.displayName })}
      fields={["role", "roleEnvironmentId"]}
      action={t("admin.people.setRole")}
      danger={powerful}
      ready={role !== undefined && (role !== user.role || (environment ?? "") !== (user.roleEnvironmentId ?? ""))}
      onOpen={() => {
        setRole(oneOf(user.role, roles));
        setEnvironment(user.roleEnvironmentId || undefined);
      }}
      act={change}
    >
      {(errors) => (
        <>
          <SelectOrNone label={t("admin.people.role")} value={role} onChange={setRole} choices={roles.map((k) => [k, t(`roles.${k}`)])} error={errors.role} />
          {/* Somebody of an environment has the role there. */}
          {!user.environmentId && (
            <SelectOrNone
              label={t("admin.people.roleWhere")}
              value={environment}
              onChange={setEnvironment}
              none={t("admin.people.everywhere")}
              choices={environments.map((e) => [e.id ?? "", e.name ?? ""])}
              error={errors.roleEnvironmentId}
            />
          )}
          {role && (
            <p className="note" data-tone={powerful ? "warn" : undefined}>
              {t(`admin.people.roleMeans.${role}`)}
            </p>
          )}
          {program && powerful && (
            <p className="note" data-tone="warn">
              {t("admin.people.tokensEnd")}
            </p>
          )}
        </>
      )}
    </Confirm>
  );
}

/** Has somebody leave whom no source owns. */
export function Remove({ user }: { user: User }) {
  const { t } = useTranslation();
  const queries = useQueryClient();
  const remove = async () => {
    await client.DELETE("/v1/users/{id}", { params: { path: { id: user.id ?? "" } } });
    tell(t("admin.people.removed", { name: user.displayName }));
    await queries.invalidateQueries();
  };
  return (
    <Confirm
      trigger={<Button kind="danger">{t("admin.people.remove")}</Button>}
      title={t("admin.people.removeTitle", { name: user.displayName })}
      action={t("admin.people.remove")}
      danger
      act={remove}
    >
      <p>{t("admin.people.removeText")}</p>
    </Confirm>
  );
}
