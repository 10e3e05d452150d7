import { act, render, screen } from "@testing-library/react";
import { userEvent } from "@testing-library/user-event";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Problem } from "@/api/problem";
import { clear, show, ToastPlace } from "./ToastPlace";

beforeEach(() => {
  vi.useFakeTimers({ shouldAdvanceTime: true });
});
afterEach(() => {
  act(() => vi.runOnlyPendingTimers());
  vi.useRealTimers();
});

const user = () => userEvent.setup({ advanceTimers: (ms) => vi.advanceTimersByTime(ms) });
const tell = (...told: Parameters<typeof show>) => act(() => show(...told));
const pass = (ms: number) => act(() => vi.advanceTimersByTimeAsync(ms));

test("what was done is told for some seconds, and what can be undone for as long as somebody takes", async () => {
  render(<ToastPlace />);
  tell("It is saved.");
  tell("It is gone.", { label: "Undo: it again", act: () => Promise.resolve("It is here again.") });
  await pass(3_600_000);
  expect(screen.queryByText("It is saved.")).toBeNull();
  await user().click(screen.getByRole("button", { name: "Undo: it again" }));
  await pass(100);
  expect(screen.getByText("It is here again.")).toBeTruthy();
  expect(screen.queryByText("It is gone.")).toBeNull();
});

test("what was told is not told to who comes next", async () => {
  render(<ToastPlace />);
  tell("Ada is an admin.", { label: "Undo: Ada is a member", act: () => Promise.resolve("") });
  act(() => clear());
  await pass(100);
  expect(screen.queryByText("Ada is an admin.")).toBeNull();
});

test("of several that can be undone the last one can", async () => {
  render(<ToastPlace />);
  const undone = vi.fn(() => Promise.resolve("It is here again."));
  tell("One is gone.", { label: "Undo: one again", act: undone });
  tell("Another is gone.", { label: "Undo: another again", act: undone });
  expect(screen.queryByText("One is gone.")).toBeNull();
  await user().click(screen.getByRole("button", { name: "Undo: another again" }));
  await pass(100);
  expect(undone).toHaveBeenCalledTimes(1);
});

test("what the API refuses is said in its words, and not offered again; the focus stays there", async () => {
  render(<ToastPlace />);
  tell("It is gone.", { label: "Undo: it again", act: () => Promise.reject(new Problem(400, "WORK_ITEM_MOVED_ON", "it has been reopened already")) });
  await user().click(screen.getByRole("button", { name: "Undo: it again" }));
  expect(await screen.findByText("it has been reopened already")).toBeTruthy();
  expect(screen.queryByRole("button", { name: "Undo: it again" })).toBeNull();
  expect(document.activeElement).toBe(screen.getByRole("alertdialog"));
  await user().click(screen.getByRole("button", { name: "Close" }));
  expect(screen.queryByText("It is gone.")).toBeNull();
});

test("without an answer it is offered again", async () => {
  render(<ToastPlace />);
  const undone = vi.fn().mockRejectedValueOnce(Problem.noAnswer()).mockResolvedValue("It is here again.");
  tell("It is gone.", { label: "Undo: it again", act: undone });
  await user().click(screen.getByRole("button", { name: "Undo: it again" }));
  await screen.findByText(/Gatehouse does not answer/);
  await user().click(screen.getByRole("button", { name: "Undo: it again" }));
  await pass(100);
  expect(screen.getByText("It is here again.")).toBeTruthy();
});
