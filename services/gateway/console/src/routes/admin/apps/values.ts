import type { App } from "@/api/client";

/** What a form changes of an app. */
export const appFields = ["name", "description", "provisioning", "integrationId", "ownerId", "adminIds", "approverIds", "deprovisioningAction", "accountAdoption", "icon", "onlyByFlow", "offeredToAllEnvironments", "offeredEnvironmentIds", "category", "tags", "ssoAppId", "instructions", "catalogState"] as const;
export type AppField = (typeof appFields)[number];
export type AppValues = Required<Pick<App, AppField>>;

export function valuesOf(app?: App): AppValues {
  return {
    name: app?.name ?? "",
    description: app?.description ?? "",
    provisioning: app?.provisioning ?? "PROVISIONING_SUPPORT_MANUAL",
    integrationId: app?.integrationId ?? "",
    ownerId: app?.ownerId ?? "",
    adminIds: app?.adminIds ?? [],
    approverIds: app?.approverIds ?? [],
    deprovisioningAction: app?.deprovisioningAction ?? "DEPROVISIONING_ACTION_UNSPECIFIED",
    icon: app?.icon ?? "",
    accountAdoption: app?.accountAdoption ?? "ACCOUNT_ADOPTION_UNSPECIFIED",
    onlyByFlow: app?.onlyByFlow ?? false,
    offeredToAllEnvironments: app?.offeredToAllEnvironments ?? false,
    offeredEnvironmentIds: app?.offeredEnvironmentIds ?? [],
    category: app?.category ?? "",
    tags: app?.tags ?? [],
    ssoAppId: app?.ssoAppId ?? "",
    instructions: app?.instructions ?? "",
    // Never chosen counts as listed.
    catalogState: app?.catalogState === "CATALOG_STATE_UNLISTED" ? app.catalogState : "CATALOG_STATE_LISTED",
  };
}
