import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { createMemoryHistory, createRootRoute, createRouter, RouterProvider } from "@tanstack/react-router";
import { render, screen } from "@testing-library/react";
import { userEvent } from "@testing-library/user-event";
import { expect, test, vi } from "vitest";
import { client, type Checklist, type WorkItem } from "@/api/client";
import { ToastPlace } from "@/components/ToastPlace";
import { reopenable, retryable } from "@/components/WorkItemLine";
import { OpenItems } from "./Checklist";

const item = (id: string, more: object = {}) =>
  ({
    id,
    kind: "WORK_ITEM_KIND_ASSIGN",
    state: "WORK_ITEM_STATE_OPEN",
    appName: "Code",
    entitlementNames: [id],
    user: { displayName: "Grace" },
    createTime: "2026-03-01T12:00:00Z",
    ...more,
  }) as unknown as WorkItem;

async function show(items: WorkItem[], list?: Checklist) {
  const queries = new QueryClient();
  queries.setQueryDefaults([], { staleTime: Infinity });
  queries.setQueryData(["get", "/v1/me", {}], { user: { role: "ROLE_IT_ADMIN" } });
  const root = createRootRoute({
    component: () => (
      <>
        <OpenItems items={items} list={list} />
        <ToastPlace />
      </>
    ),
  });
  const router = createRouter({ routeTree: root, history: createMemoryHistory() });
  render(
    <QueryClientProvider client={queries}>
      <RouterProvider router={router as never} />
    </QueryClientProvider>,
  );
  await screen.findByText("Select all");
}

// B-ONB-06
test("those that are selected are resolved together, with the note", async () => {
  const post = vi.spyOn(client, "POST").mockResolvedValue({ data: {} } as never);
  await show([item("a"), item("b"), item("c")]);
  await userEvent.click(screen.getByLabelText("Select all"));
  await userEvent.click(screen.getByLabelText("Select: Give: Code · b"));
  await userEvent.click(screen.getByRole("button", { name: "Resolve 2 items" }));
  await userEvent.type(screen.getByLabelText("Note (may be empty)"), "done in the app");
  await userEvent.click(screen.getByRole("button", { name: "Resolve" }));
  expect(post).toHaveBeenCalledWith("/v1/checklists:resolve", { body: { workItemIds: ["a", "c"], note: "done in the app" } });
});

// B-ONB-19
test("what was resolved is taken back together, with a reason", async () => {
  const resolver = { userId: "ada", displayName: "Ada" };
  const post = vi.spyOn(client, "POST").mockResolvedValue({ data: { workItems: [item("a", { state: "WORK_ITEM_STATE_RESOLVED", resolver }), item("b", { state: "WORK_ITEM_STATE_RESOLVED", resolver })] } } as never);
  await show([item("a"), item("b")]);
  await userEvent.click(screen.getByLabelText("Select all"));
  await userEvent.click(screen.getByRole("button", { name: "Resolve 2 items" }));
  await userEvent.click(screen.getByRole("button", { name: "Resolve" }));
  await userEvent.click(await screen.findByRole("button", { name: "Undo: open 2 items again" }));
  expect(post).toHaveBeenLastCalledWith("/v1/checklists:reopen", { body: { workItemIds: ["a", "b"], reason: "Resolved by mistake, and undone." } });
  expect(await screen.findByText("2 items are open again.")).toBeTruthy();
});

test("what cannot be reopened is not offered to be undone", async () => {
  vi.spyOn(client, "POST").mockResolvedValue({ data: { workItems: [item("a", { state: "WORK_ITEM_STATE_RESOLVED", resolver: { displayName: "Gatehouse" } })] } } as never);
  await show([item("a")]);
  await userEvent.click(screen.getByLabelText("Select all"));
  await userEvent.click(screen.getByRole("button", { name: "Resolve 1 item" }));
  await userEvent.click(screen.getByRole("button", { name: "Resolve" }));
  await screen.findByText("1 item is resolved.");
  expect(screen.queryByRole("button", { name: /^Undo/ })).toBeNull();
});

// B-ONB-16
test("an open item says until when it should be done, and that this has passed", async () => {
  await show([item("a")], { id: "list", dueTime: "2026-03-01T12:00:00Z", overdue: true });
  expect(screen.getByText("Overdue")).toBeTruthy();
  const due = screen.getAllByTitle(/March 1, 2026/).map((e) => e.textContent);
  expect(due).toHaveLength(3); // when it was opened, and until when, in two ways
});

// B-ONB-19
test("only what a person has resolved can be reopened", () => {
  expect(reopenable(item("a", { state: "WORK_ITEM_STATE_RESOLVED", resolver: { userId: "u" } }))).toBe(true);
  expect(reopenable(item("a", { state: "WORK_ITEM_STATE_RESOLVED", resolver: { displayName: "Gatehouse" } }))).toBe(false);
  expect(reopenable(item("a"))).toBe(false);
});

test("only an open operation that failed, or an account that was found, is tried again", () => {
  expect(retryable(item("a", { kind: "WORK_ITEM_KIND_FIX_OPERATION" }))).toBe(true);
  expect(retryable(item("a", { kind: "WORK_ITEM_KIND_ADOPT_ACCOUNT" }))).toBe(true);
  expect(retryable(item("a", { kind: "WORK_ITEM_KIND_FIX_OPERATION", state: "WORK_ITEM_STATE_RESOLVED" }))).toBe(false);
  expect(retryable(item("a"))).toBe(false);
});
