import type { IdentityProvider } from "@/api/client";

/** What a form says of an identity provider. */
export interface ProviderValues {
  name: string;
  issuer: string;
  clientId: string;
  /** Never what is there: only another. */
  clientSecret: string;
  /** The secret there is goes, without another. */
  withoutSecret: boolean;
  /** Only said of a new one. */
  sourceId: string | undefined;
  userClaim: string;
  userField: "USER_FIELD_EXTERNAL_ID" | "USER_FIELD_USER_NAME";
  /** With spaces between them. */
  stepUpAcrValues: string;
  /** With spaces between them; only said of a new one. */
  scopes: string;
  signOutAtProvider: boolean;
}

export function providerValues(provider?: IdentityProvider): ProviderValues {
  return {
    name: provider?.name ?? "",
    issuer: provider?.issuer ?? "",
    clientId: provider?.clientId ?? "",
    clientSecret: "",
    withoutSecret: false,
    sourceId: provider?.sourceId || undefined,
    userClaim: provider?.userClaim ?? "sub",
    userField: provider?.userField === "USER_FIELD_USER_NAME" ? "USER_FIELD_USER_NAME" : "USER_FIELD_EXTERNAL_ID",
    stepUpAcrValues: provider?.stepUpAcrValues?.join(" ") ?? "",
    scopes: provider?.scopes?.join(" ") ?? "profile email",
    signOutAtProvider: provider?.signOutAtProvider ?? false,
  };
}

const words = (text: string) => text.split(/\s+/).filter(Boolean);

/** What is sent for the values, of a change what can be changed. */
export function providerBody(values: ProviderValues) {
  return {
    name: values.name.trim(),
    issuer: values.issuer.trim(),
    clientId: values.clientId.trim(),
    clientSecret: values.withoutSecret ? "" : values.clientSecret,
    userClaim: values.userClaim.trim(),
    userField: values.userField,
    stepUpAcrValues: words(values.stepUpAcrValues),
    signOutAtProvider: values.signOutAtProvider,
  };
}

/** What is sent beside that of a new one. */
export function newProviderBody(values: ProviderValues) {
  return { ...providerBody(values), sourceId: values.sourceId, scopes: words(values.scopes) };
}

/** The update_mask for what a form has changed. */
export function providerMask(before: ProviderValues, after: ProviderValues): string {
  const paths = {
    name: "name",
    issuer: "issuer",
    clientId: "client_id",
    userClaim: "user_claim",
    userField: "user_field",
    stepUpAcrValues: "step_up_acr_values",
    signOutAtProvider: "sign_out_at_provider",
  } as const;
  const [was, is] = [providerBody(before), providerBody(after)];
  const changed: string[] = (Object.keys(paths) as (keyof typeof paths)[]).filter((name) => String(was[name]) !== String(is[name])).map((name) => paths[name]);
  if (after.clientSecret !== "" || after.withoutSecret) changed.push("client_secret");
  return changed.join(",");
}

/** Whether the identities and the sessions of the provider end by it: those of another issuer or client say nothing about these. */
export function endsIdentities(before: ProviderValues, after: ProviderValues): boolean {
  return before.issuer !== after.issuer.trim() || (before.clientId !== "" && before.clientId !== after.clientId.trim());
}

/** What the provider must be told of Gatehouse, with the name that each address has there. */
export function providerAddresses(origin: string, id: string) {
  const at = `${origin}/sign-in/${id}`;
  return { redirect: `${at}/callback`, signedOut: `${at}/signed-out`, backchannel: `${at}/backchannel-logout`, start: at } as const;
}
