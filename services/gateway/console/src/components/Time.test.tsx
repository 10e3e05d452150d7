import { expect, test, vi } from "vitest";
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

// 3/4/2026 is a day in April to some and in March to others.
test("a time is written as in the viewer's region, if it speaks the language", () => {
  vi.spyOn(navigator, "languages", "get").mockReturnValue(["fr-FR", "en-GB", "en"]);
  render(<Time at="2026-03-04T12:00:00Z" />);
  expect(screen.getByTitle(/Wednesday,? 4 March 2026/).textContent).toContain("4 Mar 2026");
  vi.restoreAllMocks();
});
