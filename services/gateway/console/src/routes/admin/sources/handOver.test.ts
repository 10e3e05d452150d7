import { expect, test } from "vitest";
import { fieldErrors } from "@/api/fields";
import { Problem } from "@/api/problem";
import { handOverBody, handOverFields } from "./handOver";

// B-USR-17
test("either those chosen are given, with what the source calls them, or all whom the source can have", () => {
  expect(handOverBody(false, "", ["a", "b"], { b: " 00u1 ", c: "of somebody who was left out" })).toEqual({
    users: [
      { userId: "a", externalId: "" },
      { userId: "b", externalId: "00u1" },
    ],
  });
  expect(handOverBody(true, "e", ["a"], {})).toEqual({
    filter: 'sourceId = "" AND environmentId = "e" AND (kind = "USER_KIND_EMPLOYEE" OR kind = "USER_KIND_EXTERNAL")',
  });
});

test("who does not fit is said beside them", () => {
  const refused = new Problem(400, "USER_OF_SOURCE", "a source owns the user", {}, { "users[1].userId": "a source owns the user" });
  expect(fieldErrors(refused, handOverFields(["a", "b"])).of).toEqual({ "users[1].userId": "a source owns the user" });
});
