import { expect, test } from "vitest";
import type { AccountPreview } from "@/api/client";
import { countsOf, isLeftBehind, meaningOf, samePlace } from "./found";

const automatic = { provisioning: "PROVISIONING_SUPPORT_AUTOMATIC", accountAdoption: "ACCOUNT_ADOPTION_UNSPECIFIED" } as const;
const preview = (found: AccountPreview["found"], foundExternalId = "", externalId = "a1") => ({ found, foundExternalId, account: { externalId } }) as AccountPreview;

test("what nobody knows whose it is is used as the app says", () => {
  const one = preview("ACCOUNT_FOUND_BY_USER_NAME", "b2");
  expect(meaningOf(one, automatic)).toBe("asked");
  expect(meaningOf(one, { ...automatic, accountAdoption: "ACCOUNT_ADOPTION_ADOPT" })).toBe("adopted");
  expect(meaningOf(one, { ...automatic, accountAdoption: "ACCOUNT_ADOPTION_REFUSE" })).toBe("refused");
});

test("nothing follows where people handle the accounts, or the app did not say", () => {
  expect(meaningOf(preview("ACCOUNT_FOUND_NONE"), { ...automatic, provisioning: "PROVISIONING_SUPPORT_MANUAL" })).toBeUndefined();
  expect(meaningOf(preview("ACCOUNT_FOUND_UNKNOWN"), automatic)).toBeUndefined();
  expect(isLeftBehind(preview("ACCOUNT_FOUND_UNKNOWN"), automatic)).toBe(false);
});

test("an account is left behind unless the same one is found", () => {
  expect(isLeftBehind(preview("ACCOUNT_FOUND_OURS", "a1"), automatic)).toBe(false);
  expect(isLeftBehind(preview("ACCOUNT_FOUND_OURS", "b2"), automatic)).toBe(true);
  // Of an id alone it is not known that it is the same.
  expect(isLeftBehind(preview("ACCOUNT_FOUND_BY_USER_NAME", "a1"), automatic)).toBe(true);
  expect(isLeftBehind(preview("ACCOUNT_FOUND_NONE"), automatic)).toBe(true);
  // What a person has made is known nowhere.
  expect(isLeftBehind(preview("ACCOUNT_FOUND_NONE", "", ""), automatic)).toBe(false);
});

test("what was found is counted, and what was not is left out", () => {
  expect(countsOf([preview("ACCOUNT_FOUND_NONE"), preview("ACCOUNT_FOUND_OURS"), preview("ACCOUNT_FOUND_NONE")])).toEqual([
    ["ACCOUNT_FOUND_OURS", 1],
    ["ACCOUNT_FOUND_NONE", 2],
  ]);
});

test("a place is a host and a path", () => {
  expect(samePlace("https://chat.example/scim/v2/", "https://chat.example/scim/v2")).toBe(true);
  expect(samePlace("https://chat.example/scim/v2", "https://chat.example/other")).toBe(false);
  expect(samePlace(undefined, undefined)).toBe(false);
});
