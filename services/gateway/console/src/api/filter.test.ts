import { expect, test } from "vitest";
import { containing, quoted, withIds } from "./filter";

test("what somebody types stays a text", () => {
  expect(quoted('a" OR id:* \\')).toBe('"a\\" OR id:* \\\\"');
});

test("words are looked for in each field", () => {
  expect(containing("pay", ["name", "justification"])).toBe('name:"pay" OR justification:"pay"');
  expect(containing("", ["name"])).toBeUndefined();
});

test("a filter names fifty ids at most", () => {
  expect(withIds(Array.from({ length: 60 }, (_, i) => `${i}`)).split(" OR ")).toHaveLength(50);
});
