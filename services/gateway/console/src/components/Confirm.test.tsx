import { expect, test, vi } from "vitest";
import { render, screen } from "@testing-library/react";
import { userEvent } from "@testing-library/user-event";
import { Problem } from "@/api/problem";
import { Button } from "./Button";
import { Confirm } from "./Confirm";
import { TextBox } from "./TextBox";

test("a call is repeated with the same id when there was no answer, and with another when it was refused", async () => {
  const ids: string[] = [];
  const answers = [Problem.noAnswer(), new Problem(400, "X", "no"), undefined];
  const act = vi.fn((id: string) => {
    const problem = answers[ids.push(id) - 1];
    return problem ? Promise.reject(problem) : Promise.resolve();
  });
  render(<Confirm trigger={<Button>Open</Button>} title="Sure?" action="Do it" act={act} />);
  await userEvent.click(screen.getByRole("button", { name: "Open" }));
  for (let i = 0; i < 3; i++) await userEvent.click(screen.getByRole("button", { name: "Do it" }));
  expect(ids[0]).toBe(ids[1]);
  expect(ids[1]).not.toBe(ids[2]);
  expect(screen.queryByRole("dialog")).toBeNull();
});

test("what was wrong with a field keeps nobody from trying again", async () => {
  const act = vi.fn().mockRejectedValueOnce(new Problem(409, "TAKEN", "no", {}, { name: "is taken" })).mockResolvedValueOnce(undefined);
  render(
    <Confirm trigger={<Button>Open</Button>} title="Sure?" fields={["name"]} action="Do it" act={act}>
      {(errors) => <TextBox label="Name" error={errors.name} />}
    </Confirm>,
  );
  await userEvent.click(screen.getByRole("button", { name: "Open" }));
  await userEvent.click(screen.getByRole("button", { name: "Do it" }));
  expect(await screen.findByText("is taken")).toBeTruthy();
  await userEvent.type(screen.getByLabelText("Name"), "other");
  await userEvent.click(screen.getByRole("button", { name: "Do it" }));
  expect(act).toHaveBeenCalledTimes(2);
});
