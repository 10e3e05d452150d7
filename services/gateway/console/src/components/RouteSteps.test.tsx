import { render } from "@testing-library/react";
import { expect, test } from "vitest";
import type { RouteStep } from "@/api/client";
import { RouteSteps } from "./RouteSteps";

const step = (needed: number, count: number, ...names: string[]): RouteStep => ({
  name: "Approvers",
  neededApprovals: needed,
  reviewerCount: count,
  reviewers: names.map((displayName) => ({ person: { displayName }, substitution: "" })),
});

test("a step says whom it asks, and how many of them decide", () => {
  const text = (s: RouteStep) => render(<RouteSteps route={{ automatic: false, steps: [s] }} />).container.textContent;
  expect(text(step(1, 1, "Ann"))).toBe("Approvers: Ann");
  expect(text(step(1, 3, "Ann", "Ben", "Cyd"))).toBe("Approvers: Ann, Ben, or Cyd");
  expect(text(step(2, 2, "Ann", "Ben"))).toBe("Approvers: Ann and Ben");
  expect(text(step(2, 3, "Ann", "Ben", "Cyd"))).toBe("Approvers: 2 of Ann, Ben, Cyd");
  expect(text(step(1, 40, "A", "B", "C", "D", "E", "F"))).toBe("Approvers: A, B, C, D, E, or 35 more");
});

test("it says why others are asked, and where there is nobody", () => {
  const route = {
    automatic: false,
    steps: [
      { ...step(1, 1), name: "Manager", reviewers: [{ person: { displayName: "Ada" }, substitution: "Ann has no manager" }] },
      { ...step(1, 0), vacancy: { step: 1, stepName: "Approvers", help: [], reason: "the app has no owner" } },
    ],
  };
  const { container } = render(<RouteSteps route={route} />);
  expect([...container.querySelectorAll("li")].map((li) => li.textContent)).toEqual(["Manager: Ada (Ann has no manager)", "Approvers: Nobody can decide (the app has no owner)"]);
});

test("what a flow approves by itself asks nobody", () => {
  expect(render(<RouteSteps route={{ automatic: true, steps: [] }} />).container.textContent).toBe("Approved at once: nobody is asked.");
});
