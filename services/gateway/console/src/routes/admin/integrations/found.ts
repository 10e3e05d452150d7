import type { AccountPreview, App } from "@/api/client";

export type Found = NonNullable<AccountPreview["found"]>;

/** What was found, in the order in which it is counted. */
export const founds = ["ACCOUNT_FOUND_OURS", "ACCOUNT_FOUND_BY_USER_NAME", "ACCOUNT_FOUND_OF_ANOTHER", "ACCOUNT_FOUND_NONE", "ACCOUNT_FOUND_UNKNOWN"] as const satisfies readonly Found[];

export const foundTones = {
  ACCOUNT_FOUND_UNSPECIFIED: undefined,
  ACCOUNT_FOUND_OURS: "good",
  ACCOUNT_FOUND_BY_USER_NAME: "warn",
  ACCOUNT_FOUND_OF_ANOTHER: "bad",
  ACCOUNT_FOUND_NONE: undefined,
  ACCOUNT_FOUND_UNKNOWN: "warn",
} as const satisfies Record<Found, string | undefined>;

/** Of an app, what decides what follows from an account that is found. */
export type Rules = Pick<App, "provisioning" | "accountAdoption">;

/** What follows, as the texts call it; undefined where nothing does, or nothing is known. */
export function meaningOf(preview: AccountPreview, { provisioning, accountAdoption }: Rules) {
  // Where people handle the accounts an integration only looks.
  if (provisioning !== "PROVISIONING_SUPPORT_AUTOMATIC") return undefined;
  switch (preview.found) {
    case "ACCOUNT_FOUND_OURS":
      return "ours";
    case "ACCOUNT_FOUND_BY_USER_NAME":
      return accountAdoption === "ACCOUNT_ADOPTION_ADOPT" ? "adopted" : accountAdoption === "ACCOUNT_ADOPTION_REFUSE" ? "refused" : "asked";
    case "ACCOUNT_FOUND_OF_ANOTHER":
      return "ofAnother";
    case "ACCOUNT_FOUND_NONE":
      return "made";
    default:
      return undefined;
  }
}

/** Whether the account that is known is left behind, where the app moves to another address. */
export function isLeftBehind({ account, found, foundExternalId }: AccountPreview, { provisioning }: Rules): boolean {
  if (provisioning !== "PROVISIONING_SUPPORT_AUTOMATIC" || !account?.externalId) return false;
  if (found === undefined || found === "ACCOUNT_FOUND_UNSPECIFIED" || found === "ACCOUNT_FOUND_UNKNOWN") return false;
  return !(found === "ACCOUNT_FOUND_OURS" && foundExternalId === account.externalId);
}

/** How many of the accounts were found how. */
export function countsOf(previews: readonly AccountPreview[]): [Found, number][] {
  return founds.map((found): [Found, number] => [found, previews.filter((p) => p.found === found).length]).filter(([, count]) => count > 0);
}

/** Whether two addresses lead to the same place: to the same accounts. */
export function samePlace(one: string | undefined, other: string | undefined): boolean {
  const place = (address: string | undefined) => {
    const url = URL.parse(address ?? "");
    return url && url.host + url.pathname.replace(/\/+$/, "");
  };
  return place(one) !== null && place(one) === place(other);
}
