import { render, screen } from "@testing-library/react";
import { userEvent } from "@testing-library/user-event";
import { expect, test, vi } from "vitest";
import { api } from "@/api/client";
import { People } from "./People";

// B-REQ-01: asked for somebody else, it must be seen for whom.
test("who was chosen stays in the box, in an organization of more people than are found at once", async () => {
  const everybody = ["Ada", "Grace", "William"].map((name) => ({ id: name, displayName: name, state: "USER_STATE_ACTIVE" }));
  vi.spyOn(api, "useQuery").mockImplementation(((_method: string, _path: string, { params }: { params: { query: { query: string } } }) => {
    const users = everybody.filter((u) => u.displayName.startsWith(params.query.query)).slice(0, 2);
    return { data: { users } };
  }) as never);
  const onChoose = vi.fn();
  render(<People label="Person" onChoose={onChoose} />);
  const box = screen.getByRole<HTMLInputElement>("combobox", { name: "Person" });
  await userEvent.type(box, "Wil");
  await userEvent.click(await screen.findByRole("option", { name: "William" }));
  expect(onChoose).toHaveBeenLastCalledWith(everybody[2]);
  await userEvent.tab();
  expect(box.value).toBe("William");

  // Words that lead to nobody choose nobody else.
  await userEvent.type(box, "x");
  await userEvent.tab();
  expect(box.value).toBe("William");
  await userEvent.clear(box);
  await userEvent.tab();
  expect(box.value).toBe("");
  expect(onChoose).toHaveBeenLastCalledWith(undefined);
});
