import { expect, test } from "vitest";
import { maskOf } from "./mask";

test("only what differs is named, in the API's own spelling", () => {
  expect(maskOf({ name: "a", adminIds: ["1", "2"], ownerId: "" }, { name: "a", adminIds: ["2", "1"], ownerId: "3" })).toBe("admin_ids,owner_id");
  expect(maskOf({ name: "a" }, { name: "a" })).toBe("");
});
