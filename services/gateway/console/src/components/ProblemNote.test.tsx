import { render, screen } from "@testing-library/react";
import { userEvent } from "@testing-library/user-event";
import { expect, test, vi } from "vitest";
import { Problem } from "@/api/problem";
import { startTexts } from "@/i18n";
import { ProblemNote } from "./ProblemNote";

test("what wants a more recent sign-in has the way to it", async () => {
  await startTexts();
  const sent = vi.spyOn(HTMLFormElement.prototype, "submit").mockImplementation(() => undefined);
  render(<ProblemNote error={new Problem(401, "INSUFFICIENT_USER_AUTHENTICATION", "this needs a recent sign-in")} />);
  await userEvent.click(screen.getByRole("button", { name: "Sign in again" }));
  const form = sent.mock.contexts[0] as HTMLFormElement;
  expect(form.getAttribute("action")).toBe("/sign-in/session");
  expect(Object.fromEntries(new FormData(form))).toEqual({ purpose: "step-up", return_to: location.pathname });
});

test("what is no answer of the API is not called one", async () => {
  await startTexts();
  render(<ProblemNote error={new TypeError("undefined is not a function")} />);
  expect(screen.getByRole("alert").textContent).toContain("in this page");
});
