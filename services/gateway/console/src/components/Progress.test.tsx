import { render, screen } from "@testing-library/react";
import { expect, test } from "vitest";
import "@/i18n";
import { Progress } from "./Progress";

// B-REQ-09
test("says how many are done in words and to programs that read it out", () => {
  render(<Progress of={{ doneActions: 2, neededActions: 3, percent: 67 }} />);
  expect(screen.getByText(/2 of 3 · 67 %/)).toBeTruthy();
  const bar = screen.getByRole<HTMLProgressElement>("progressbar", { name: "Actions done" });
  expect([bar.value, bar.max]).toEqual([67, 100]);
});

test("what needed nothing is done", () => {
  render(<Progress mine of={{ doneActions: 0, neededActions: 0, percent: 100 }} />);
  expect(screen.getByText("100 %")).toBeTruthy();
});

test("is not there while it is not known", () => {
  const { container } = render(<Progress of={undefined} />);
  expect(container.innerHTML).toBe("");
});
