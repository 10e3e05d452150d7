import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { createMemoryHistory, createRouter, RouterProvider } from "@tanstack/react-router";
import { render, screen } from "@testing-library/react";
import { expect, test, vi } from "vitest";
import { client } from "@/api/client";
import { newRouter } from "@/router";

// Browsers have it; older releases of Node do not.
Map.groupBy ??= () => new Map();

/** What somebody external is shown at a path, and which calls it makes. */
async function show(path: string): Promise<string[]> {
  const called: string[] = [];
  vi.spyOn(window, "scrollTo").mockImplementation(() => {});
  vi.spyOn(client, "GET").mockImplementation(((at: string) => {
    called.push(at);
    return Promise.resolve({ data: {}, response: new Response("{}") });
  }) as never);
  const queries = new QueryClient();
  queries.setQueryDefaults(["get", "/v1/me"], { staleTime: Infinity });
  queries.setQueryData(["get", "/v1/me", {}], { user: { id: "jules", role: "ROLE_EXTERNAL" } });
  const { routeTree } = newRouter(queries).options;
  const router = createRouter({ routeTree, context: { queries }, history: createMemoryHistory({ initialEntries: [path] }) });
  globalThis.EventSource = class {
    addEventListener() {}
    close() {}
  } as never;
  const { unmount } = render(
    <QueryClientProvider client={queries}>
      <RouterProvider router={router as never} />
    </QueryClientProvider>,
  );
  await screen.findByRole("heading", { level: 1 });
  await new Promise((r) => setTimeout(r, 50));
  const tabs = screen.queryAllByRole("link").map((l) => l.getAttribute("href") ?? "");
  unmount();
  return [...called, ...tabs];
}

// B-USR-06: nobody is led to what they would be refused.
test("somebody external is not asked who their people are, nor led to work that they cannot have", async () => {
  for (const path of ["/team", "/access", "/tasks", "/tasks/work"]) {
    const seen = await show(path);
    expect(seen, path).not.toContain("/v1/users");
    expect(seen, path).not.toContain("/v1/workItems");
    expect(seen, path).not.toContain("/tasks/work");
  }
});
