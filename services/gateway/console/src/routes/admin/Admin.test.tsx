import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { createMemoryHistory, createRouter, RouterProvider } from "@tanstack/react-router";
import { render, screen } from "@testing-library/react";
import { expect, test, vi } from "vitest";
import { client } from "@/api/client";
import { newRouter } from "@/router";

/** What an admin calls who looks at the overview, and where its menu leads. */
async function overview(roleEnvironmentId: string) {
  const called: string[] = [];
  vi.spyOn(window, "scrollTo").mockImplementation(() => {});
  vi.spyOn(client, "GET").mockImplementation(((at: string) => {
    called.push(at);
    return Promise.resolve({ data: {}, response: new Response("{}") });
  }) as never);
  globalThis.EventSource = class {
    addEventListener() {}
    close() {}
  } as never;
  const queries = new QueryClient();
  queries.setQueryDefaults(["get", "/v1/me"], { staleTime: Infinity });
  queries.setQueryData(["get", "/v1/me", {}], { user: { id: "amy", role: "ROLE_ADMIN", environmentId: "", roleEnvironmentId } });
  const { routeTree } = newRouter(queries).options;
  const router = createRouter({ routeTree, context: { queries }, history: createMemoryHistory({ initialEntries: ["/admin"] }) });
  const { unmount } = render(
    <QueryClientProvider client={queries}>
      <RouterProvider router={router as never} />
    </QueryClientProvider>,
  );
  await screen.findByRole("heading", { level: 1, name: "Overview" });
  await new Promise((r) => setTimeout(r, 50));
  const links = screen.getAllByRole("link").map((l) => l.getAttribute("href") ?? "");
  unmount();
  return { called, links };
}

// B-USR-12: nobody is led to what they would be refused, and no denied call of theirs stands in the audit log for it.
test("an admin of one environment is not led to the events of the whole organization", async () => {
  const whole = await overview("");
  expect(whole.called).toContain("/v1/parkedEvents");
  expect(whole.links).toContain("/admin/parked-events");
  const one = await overview("north");
  expect(one.called).toContain("/v1/workItems");
  expect(one.called).not.toContain("/v1/parkedEvents");
  expect(one.links).not.toContain("/admin/parked-events");
});
