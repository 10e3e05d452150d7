import { expect, test, vi } from "vitest";
import { render, screen } from "@testing-library/react";
import { userEvent } from "@testing-library/user-event";
import { later } from "./later";

const Words = ({ text }: { text: string }) => <p>{text}</p>;

test("what was loaded ahead is there at once, and loaded once", async () => {
  const load = vi.fn(() => Promise.resolve(Words));
  const Later = later(load);
  await Later.ahead();
  await Later.ahead();
  render(<Later text="here" />);
  expect(screen.getByText("here")).toBeTruthy();
  expect(load).toHaveBeenCalledOnce();
});

test("what is loaded when it is shown comes by itself", async () => {
  const Later = later(() => Promise.resolve(Words));
  const { container } = render(<Later text="here" />);
  expect(container.textContent).toBe("");
  expect(await screen.findByText("here")).toBeTruthy();
});

test("what does not come says so, and can be tried again", async () => {
  const load = vi.fn(() => Promise.resolve(Words));
  load.mockRejectedValueOnce(new Error("no answer")).mockRejectedValueOnce(new Error("no answer"));
  const Later = later(load);
  await Later.ahead();
  render(<Later text="here" />);
  await userEvent.click(await screen.findByRole("button", { name: "Try again" }));
  expect(await screen.findByText("here")).toBeTruthy();
  expect(screen.queryByRole("alert")).toBeNull();
});
