import { expect, test, vi } from "vitest";
import { render, screen } from "@testing-library/react";
import { userEvent } from "@testing-library/user-event";
import { Chosen } from "./Chosen";

const names = (id: string) => ({ a: "Ada", b: "Bo" })[id];

test("one is left out, and one goes before the other", async () => {
  const change = vi.fn();
  render(<Chosen label="Approvers" ids={["a", "b", "c"]} names={names} gone={["c"]} ordered onChange={change} />);
  await userEvent.click(screen.getByRole("button", { name: "Remove Ada" }));
  expect(change).toHaveBeenLastCalledWith(["b", "c"]);
  await userEvent.click(screen.getByRole("button", { name: "Move Bo up" }));
  expect(change).toHaveBeenLastCalledWith(["b", "a", "c"]);
});

test("who has left is said to be gone", () => {
  render(<Chosen label="Approvers" ids={["c"]} names={names} gone={["c"]} onChange={() => {}} />);
  expect(screen.getByText("Vacant")).toBeTruthy();
});
