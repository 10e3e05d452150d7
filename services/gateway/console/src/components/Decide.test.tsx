import { expect, test, vi } from "vitest";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { render, screen } from "@testing-library/react";
import { userEvent } from "@testing-library/user-event";
import { client } from "@/api/client";
import { Problem } from "@/api/problem";
import { Decide } from "./Decide";

const task = { id: "t", requestId: "r", itemIds: ["i"], stepName: "Manager", substitution: "", etag: "seen", request: { kind: "REQUEST_KIND_GRANT" as const, hiddenItemCount: 0, items: [{ id: "i", appName: "CRM", entitlementName: "account" }] } };

const page = (etag: string) => (
  <QueryClientProvider client={new QueryClient()}>
    <Decide task={{ ...task, etag }} />
  </QueryClientProvider>
);

// B-APR-17.
test("what has changed since the dialog opened is said, and looked at again before it is decided", async () => {
  const post = vi.spyOn(client, "POST").mockRejectedValue(new Problem(409, "TASK_CHANGED", "changed", { changes: "Ben is in Finance now\nBen reports to Max now" }));
  const { rerender } = render(page("seen"));
  await userEvent.click(screen.getByRole("button", { name: "Approve" }));
  const dialog = await screen.findByRole("dialog");
  rerender(page("newer"));
  const approve = () => userEvent.click([...dialog.querySelectorAll("button")].find((b) => b.type === "submit") as HTMLElement);
  await approve();
  expect(await screen.findByText("Ben is in Finance now")).toBeTruthy();
  expect(screen.getByText("Ben reports to Max now")).toBeTruthy();
  await approve();
  for (const [, sent] of post.mock.calls as unknown as [string, { body: { etag: string } }][]) expect(sent.body.etag).toBe("seen");
  await userEvent.click(await screen.findByRole("button", { name: "Look again" }));
  expect(screen.queryByRole("dialog")).toBeNull();
  await userEvent.click(screen.getByRole("button", { name: "Approve" }));
  await userEvent.click([...(await screen.findByRole("dialog")).querySelectorAll("button")].find((b) => b.type === "submit") as HTMLElement);
  expect(post.mock.calls.at(-1)?.[1]).toMatchObject({ body: { etag: "newer" } });
});
