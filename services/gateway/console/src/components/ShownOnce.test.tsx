import { expect, test, vi } from "vitest";
import { render, screen } from "@testing-library/react";
import { userEvent } from "@testing-library/user-event";
import { ShownOnce } from "./ShownOnce";

test("the secret is copied, and stays until somebody has it", async () => {
  const close = vi.fn();
  const user = userEvent.setup();
  render(<ShownOnce title="A token" label="Token" secret="gh_secret" lost="Make another." onClose={close} />);
  await user.click(screen.getByRole("button", { name: "Copy: Token" }));
  expect(await navigator.clipboard.readText()).toBe("gh_secret");
  await user.keyboard("{Escape}");
  expect(close).not.toHaveBeenCalled();
  await user.click(screen.getByRole("button", { name: "I have it" }));
  expect(close).toHaveBeenCalled();
});

test("what was lost with an answer is not shown as if it were there", () => {
  render(<ShownOnce title="A token" label="Token" secret="" lost="Make another." onClose={() => {}} />);
  expect(screen.getByText("Make another.")).toBeTruthy();
  expect(screen.queryByRole("button", { name: "Copy: Token" })).toBeNull();
});
