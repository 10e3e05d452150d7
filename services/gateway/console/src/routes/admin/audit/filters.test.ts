import { expect, test } from "vitest";
import { dayOf, startOf } from "./filters";

test("only a day is a day", () => {
  expect(dayOf("2026-03-01")).toBe("2026-03-01");
  expect(dayOf("2026-13-01")).toBeUndefined();
  expect(dayOf("yesterday")).toBeUndefined();
});

test("a day is over when the next begins", () => {
  expect(startOf("2026-02-28", 1)).toBe(startOf("2026-03-01"));
  expect(new Date(startOf("2026-03-01") ?? "").getHours()).toBe(0);
  expect(startOf(undefined)).toBeUndefined();
});
