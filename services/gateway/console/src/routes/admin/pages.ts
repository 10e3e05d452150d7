import type { LinkProps } from "@tanstack/react-router";
import type { User } from "@/api/client";
import type { en } from "@/i18n/en";

type Role = NonNullable<User["role"]>;

/** Who has a place in the administration. What they may do there the API decides. */
export const adminRoles: readonly Role[] = ["ROLE_ADMIN", "ROLE_IT_ADMIN", "ROLE_RISK_MANAGER"];

interface AdminPage {
  to: LinkProps["to"];
  /** Its name in the texts. */
  name: keyof (typeof en)["admin"]["pages"];
  roles: readonly Role[];
  /** True if it is only for those who act in the whole organization. */
  whole?: boolean;
}

/** The pages of the administration, in the order of its menu. */
export const adminPages: readonly AdminPage[] = [
  { to: "/admin", name: "overview", roles: adminRoles },
  { to: "/admin/requests", name: "requests", roles: adminRoles },
  { to: "/admin/checklists", name: "checklists", roles: adminRoles },
  { to: "/admin/work-items", name: "workItems", roles: adminRoles },
  { to: "/admin/people", name: "people", roles: adminRoles },
  { to: "/admin/groups", name: "groups", roles: adminRoles },
  { to: "/admin/apps", name: "apps", roles: adminRoles },
  { to: "/admin/bundles", name: "bundles", roles: adminRoles },
  { to: "/admin/integrations", name: "integrations", roles: adminRoles },
  { to: "/admin/flows", name: "flows", roles: adminRoles },
  { to: "/admin/environments", name: "environments", roles: adminRoles },
  { to: "/admin/sources", name: "sources", roles: adminRoles },
  { to: "/admin/identity-providers", name: "identityProviders", roles: adminRoles },
  { to: "/admin/organization", name: "organization", roles: adminRoles },
  { to: "/admin/working-time", name: "workingTime", roles: adminRoles },
  { to: "/admin/tokens", name: "tokens", roles: adminRoles },
  { to: "/admin/audit", name: "audit", roles: adminRoles },
  { to: "/admin/parked-events", name: "parked", roles: adminRoles, whole: true },
];
