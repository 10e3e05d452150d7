import { expect, test } from "vitest";
import { environmentMask, environmentValues, isQuota, quotasOf } from "./values";

const north = environmentValues({ name: "North", quotas: { users: 20, openRequests: 5 } } as never);

test("a quota that bounds nothing is an empty box", () => {
  expect(north.quotas).toEqual({ users: "20", sources: "", apps: "", flows: "", openRequests: "5", integrations: "" });
  expect(environmentValues().quotas.users).toBe("");
});

test("only what differs is changed, and each quota by itself", () => {
  expect(environmentMask(north, north)).toBe("");
  expect(environmentMask(north, { ...north, name: " North " })).toBe("");
  expect(environmentMask(north, { name: "South", quotas: { ...north.quotas, users: "", openRequests: "6" } })).toBe("name,quotas.users,quotas.open_requests");
});

test("a quota that is taken away is not sent", () => {
  expect(quotasOf({ ...north, quotas: { ...north.quotas, users: " ", apps: "0" } })).toEqual({ openRequests: 5 });
});

test("a quota is a whole number that the API takes, or nothing", () => {
  expect(["", " ", "1", "12", "2147483647"].every(isQuota)).toBe(true);
  expect(["0", "-1", "1.5", "many", "2147483648", "1e3"].some(isQuota)).toBe(false);
});
