import { expect, test } from "vitest";
import { peopleQuery, peopleSearch } from "./search";

test("what the address does not say right is left out", () => {
  expect(peopleSearch({ q: "ada", role: "ROLE_ADMIN", kind: "x", state: 1 })).toEqual({ q: "ada", role: "ROLE_ADMIN" });
  expect(peopleSearch({ q: "" })).toEqual({});
});

test("role and kind are one filter", () => {
  expect(peopleQuery({ q: "a", role: "ROLE_ADMIN", kind: "USER_KIND_EMPLOYEE" })).toEqual({
    query: "a",
    state: undefined,
    filter: "role = ROLE_ADMIN AND kind = USER_KIND_EMPLOYEE",
  });
  expect(peopleQuery({}).filter).toBeUndefined();
});
