import { expect, test, vi } from "vitest";
import { render, screen } from "@testing-library/react";
import { userEvent } from "@testing-library/user-event";
import { Problem } from "@/api/problem";
import { Button } from "./Button";
import { Confirm } from "./Confirm";
import { TextBox } from "./TextBox";

function open(act: () => Promise<unknown>, onOpen?: () => void) {
  render(
    <Confirm trigger={<Button>Change</Button>} title="Change it" fields={["name"]} prefix="app" action="Save" onOpen={onOpen} act={act}>
      {(errors) => <TextBox label="Name" error={errors.name} />}
    </Confirm>,
  );
  return userEvent.click(screen.getByRole("button", { name: "Change" }));
}

test("the form is filled anew when it opens, and closes when it is done", async () => {
  const filled = vi.fn();
  await open(() => Promise.resolve(), filled);
  expect(filled).toHaveBeenCalledOnce();
  await userEvent.click(screen.getByRole("button", { name: "Save" }));
  expect(screen.queryByRole("dialog")).toBeNull();
});

test("what is wrong with a field stands beside it and not in the note", async () => {
  await open(() => Promise.reject(new Problem(400, "X", "it is not valid", {}, { "app.name": "is empty" })));
  await userEvent.click(screen.getByRole("button", { name: "Save" }));
  expect(await screen.findAllByText("is empty")).toHaveLength(1);
  expect(screen.getByRole("alert").textContent).toBe("it is not valid");
});

test("that somebody else was faster is said in so many words", async () => {
  await open(() => Promise.reject(new Problem(409, "ETAG_MISMATCH", "it was changed since it was read: read it again")));
  await userEvent.click(screen.getByRole("button", { name: "Save" }));
  expect((await screen.findByRole("alert")).textContent).toContain("changed by somebody else meanwhile");
});
