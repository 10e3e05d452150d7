import { expect, test, vi } from "vitest";
import { render, screen } from "@testing-library/react";
import { userEvent } from "@testing-library/user-event";
import { Problem } from "@/api/problem";
import { Ask } from "./Ask";
import { Button } from "./Button";

function open(act: (words: string) => Promise<unknown>, needed = false) {
  render(<Ask trigger={<Button>Deny</Button>} title="Deny?" label="Why" field="comment" needed={needed} action="Deny it" act={act} />);
  return userEvent.click(screen.getByRole("button", { name: "Deny" }));
}

test("what is said goes with what is done, and the dialog closes", async () => {
  const act = vi.fn(() => Promise.resolve());
  await open(act);
  await userEvent.type(screen.getByLabelText("Why"), "  not now ");
  await userEvent.click(screen.getByRole("button", { name: "Deny it" }));
  expect(act).toHaveBeenCalledWith("not now");
  expect(screen.queryByRole("dialog")).toBeNull();
});

test("a problem stands beside its field, and what was said is kept", async () => {
  await open(() => Promise.reject(new Problem(400, "X", "the comment is not valid", {}, { comment: "is too long" })));
  await userEvent.type(screen.getByLabelText("Why"), "much");
  await userEvent.click(screen.getByRole("button", { name: "Deny it" }));
  expect(await screen.findByText("is too long")).toBeTruthy();
  expect(screen.getByRole<HTMLTextAreaElement>("textbox").value).toBe("much");
});

test("what was refused can be said again", async () => {
  const act = vi.fn(() => Promise.reject(new Problem(400, "X", "the comment is not valid", {}, { comment: "is too long" })));
  await open(act);
  await userEvent.click(screen.getByRole("button", { name: "Deny it" }));
  await screen.findByText("is too long");
  await userEvent.click(screen.getByRole("button", { name: "Deny it" }));
  expect(act).toHaveBeenCalledTimes(2);
});

test("what must be said is waited for", async () => {
  await open(() => Promise.resolve(), true);
  expect(screen.getByRole("button", { name: "Deny it" }).hasAttribute("disabled")).toBe(true);
});
