import { expect, test } from "vitest";
import { scopeError, scopesOf, standing } from "./standing";

const now = new Date("2026-03-01T12:00:00Z");

test("a token works until it ends or is revoked", () => {
  expect(standing({ expireTime: "2026-03-01T12:00:01Z" }, now)).toBe("valid");
  expect(standing({ expireTime: "2026-03-01T12:00:00Z" }, now)).toBe("expired");
  expect(standing({ expireTime: "2026-03-01T11:00:00Z", revokeTime: "2026-03-01T10:00:00Z" }, now)).toBe("revoked");
});

test("scopes are areas with reading or all", () => {
  expect(scopesOf({ work: "write", access: "read" })).toEqual(["access:read", "work:write"]);
  expect(scopesOf({})).toEqual([]);
  expect(scopeError({ "scopes[1]": "there is no such scope" })).toBe("there is no such scope");
  expect(scopeError({ name: "is empty" })).toBeUndefined();
});
