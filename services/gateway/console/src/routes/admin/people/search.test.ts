import { expect, test } from "vitest";
import { peopleQuery, peopleSearch } from "./search";

test("what the address does not say right is left out", () => {
  expect(peopleSearch({ q: "ada", role: "ROLE_ADMIN", kind: "x", state: 1 })).toEqual({ q: "ada", role: "ROLE_ADMIN" });
  expect(peopleSearch({ q: "" })).toEqual({});
});

test("an environment is filtered by its id, and the organization has none", () => {
  expect(peopleSearch({ environment: "e1" })).toEqual({ environment: "e1" });
  expect(peopleQuery({ environment: "e1", role: "ROLE_ADMIN" }).filter).toBe('role = ROLE_ADMIN AND environmentId = "e1"');
  expect(peopleQuery({ environment: "organization" }).filter).toBe('environmentId = ""');
});

test("role and kind are one filter", () => {
  expect(peopleQuery({ q: "a", role: "ROLE_ADMIN", kind: "USER_KIND_EMPLOYEE" })).toEqual({
    query: "a",
    state: undefined,
    filter: "role = ROLE_ADMIN AND kind = USER_KIND_EMPLOYEE",
  });
  expect(peopleQuery({}).filter).toBeUndefined();
});
