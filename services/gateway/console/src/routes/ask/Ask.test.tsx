import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { createMemoryHistory, createRouter, RouterProvider } from "@tanstack/react-router";
import { fireEvent, render, screen } from "@testing-library/react";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { client } from "@/api/client";
import { newRouter } from "@/router";
import { draft } from "./draft";

beforeEach(() => {
  vi.spyOn(window, "scrollTo").mockImplementation(() => {});
  vi.spyOn(client, "GET").mockImplementation((() => Promise.resolve({ data: {}, response: new Response("{}") })) as never);
  vi.spyOn(client, "POST").mockImplementation((() => Promise.resolve({ data: {}, response: new Response("{}") })) as never);
  globalThis.EventSource = class {
    addEventListener() {}
    close() {}
  } as never;
});
afterEach(() => sessionStorage.clear());

async function show(role: string) {
  const queries = new QueryClient();
  queries.setQueryDefaults(["get", "/v1/me"], { staleTime: Infinity });
  queries.setQueryData(["get", "/v1/me", {}], { user: { id: "ann", role } });
  const { routeTree } = newRouter(queries).options;
  const router = createRouter({ routeTree, context: { queries }, history: createMemoryHistory({ initialEntries: ["/ask"] }) });
  const { unmount } = render(
    <QueryClientProvider client={queries}>
      <RouterProvider router={router as never} />
    </QueryClientProvider>,
  );
  await screen.findByRole("button", { name: "Send the request" });
  return unmount;
}

const radio = (name: string) => screen.getByRole<HTMLInputElement>("radio", { name });
const sends = () => !screen.getByRole<HTMLButtonElement>("button", { name: "Send the request" }).disabled;
const written = { apps: [], chosen: [{ id: "1", appId: "chat" }] as never, justification: "to talk" };

// B-REQ-01, B-REQ-02: what was to be for somebody else, or for some time, does not become one's own, or for good.
test("what was written for somebody else, or until a date, is not sent before both are chosen again", async () => {
  draft.keep("ann", { ...written, whom: "other", length: "week" });
  const unmount = await show("ROLE_MEMBER");
  expect(radio("For somebody else").checked).toBe(true);
  expect(sends()).toBe(false);
  fireEvent.click(radio("For me"));
  expect(sends()).toBe(true);
  unmount();

  draft.keep("ann", { ...written, whom: "me", length: "until" });
  const again = await show("ROLE_MEMBER");
  expect(radio("Until a time").checked).toBe(true);
  expect(sends()).toBe(false);
  again();

  draft.keep("ann", { ...written, whom: "other", length: "week" });
  await show("ROLE_EXTERNAL"); // who asks for themselves alone by now
  expect(sends()).toBe(true);
});
