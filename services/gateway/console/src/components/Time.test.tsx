import { expect, test } from "vitest";
import { render, screen } from "@testing-library/react";
import { distance, Time } from "./Time";

const now = new Date("2026-03-01T12:00:00Z");

test.each([
  ["2026-03-01T12:00:20Z", "now"],
  ["2026-03-01T12:05:00Z", "in 5 minutes"],
  ["2026-03-01T14:59:00Z", "in 2 hours"],
  ["2026-02-27T12:00:00Z", "2 days ago"],
  ["2026-03-02T13:00:00Z", "tomorrow"],
])("%s is %s", (at, want) => {
  expect(distance(new Date(at), now, "en")).toBe(want);
});

test("the exact instant is shown on hover and read to programs", () => {
  render(<Time at="2026-03-01T12:00:00Z" relative />);
  const time = screen.getByTitle(/Sunday, March 1, 2026/);
  expect(time.getAttribute("datetime")).toBe("2026-03-01T12:00:00Z");
});
