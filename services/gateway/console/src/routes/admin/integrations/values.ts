import type { Integration } from "@/api/client";

/** What a form changes of an integration. */
export interface IntegrationValues {
  name: string;
  baseUrl: string;
  /** Never what is there: only another. */
  token: string;
  access: "INTEGRATION_ACCESS_READ_WRITE" | "INTEGRATION_ACCESS_READ_ONLY";
}

export function integrationValues(integration?: Integration): IntegrationValues {
  return {
    name: integration?.name ?? "",
    baseUrl: integration?.scim?.baseUrl ?? "",
    token: "",
    access: integration?.access === "INTEGRATION_ACCESS_READ_ONLY" ? "INTEGRATION_ACCESS_READ_ONLY" : "INTEGRATION_ACCESS_READ_WRITE",
  };
}

/** The update_mask for what a form has changed. */
export function integrationMask(before: IntegrationValues, after: IntegrationValues): string {
  const paths = { name: "name", baseUrl: "scim.base_url", token: "scim.token", access: "access" } as const;
  return (Object.keys(paths) as (keyof typeof paths)[])
    .filter((name) => before[name] !== after[name])
    .map((name) => paths[name])
    .join(",");
}
