import { expect, test } from "vitest";
import { containing, quoted, withIds, someAtATime } from "./filter";

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

test("any number of rows is named some at a time, each once, and one more changes the last filter alone", () => {
  const ids = Array.from({ length: 101 }, (_, i) => `id${i}`);
  const filters = someAtATime([...ids, "id0"]);
  expect(filters).toHaveLength(3);
  expect(filters.flatMap((f) => f.split(" OR ")).sort()).toEqual(ids.map((id) => `id = "${id}"`).sort());
  expect(someAtATime([...ids, "more"]).slice(0, 2)).toEqual(filters.slice(0, 2));
  expect(someAtATime(["a"], "reopenedItemId")).toEqual(['reopenedItemId = "a"']);
  expect(someAtATime([])).toEqual([]);
});
