import { expect, test } from "vitest";
import { durationOf, inWords, periodOf } from "./period";

// B-ONB-16
test("a duration is shown in the longest unit of which it is a whole number, and is the same again", () => {
  for (const [duration, count, unit] of [
    ["259200s", "3", "days"],
    ["14400s", "4", "hours"],
    ["5400s", "90", "minutes"],
    ["61s", "61", "seconds"],
    ["0s", "0", "days"],
  ] as const) {
    expect(periodOf(duration)).toEqual({ count, unit });
    expect(durationOf({ count, unit })).toBe(duration);
  }
  expect(periodOf(undefined)).toEqual({ count: "", unit: "days" });
  expect(durationOf({ count: " ", unit: "days" })).toBeUndefined();
  expect(durationOf({ count: "1,5", unit: "days" })).toBe("129600s");
  // 0.7 · 86400 is 60479.99999999999 here, which the API does not take.
  expect(durationOf({ count: "0,7", unit: "days" })).toBe("60480s");
});

test("what is no number is sent as it is: the API says what is wrong with it", () => {
  expect(durationOf({ count: "soon", unit: "days" })).toBe("soons");
});

test("a duration is said in the language", () => {
  expect(inWords("259200s", "en")).toBe("3 days");
  expect(inWords("86400s", "de")).toBe("1 Tag");
});
