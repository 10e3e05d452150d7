import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { renderHook, waitFor } from "@testing-library/react";
import type { ReactNode } from "react";
import { expect, test, vi } from "vitest";
import { client } from "./client";
import { useEntitlementNames } from "./names";

// B-ONB-18: what is chosen has its name, in whichever of any number of apps it is.
test("what apps give has its name by two calls, however many apps there are", async () => {
  const ids = Array.from({ length: 51 }, (_, i) => `e${i}`);
  const get = vi.spyOn(client, "GET").mockImplementation(((path: string, { params }: { params: { query: { filter: string } } }) =>
    Promise.resolve({
      data: path === "/v1/apps" ? { apps: [{ id: "far", name: "Zebra" }] } : { entitlements: ids.filter((id) => params.query.filter.includes(`"${id}"`)).map((id) => ({ id, appId: "far", name: `role ${id}` })) },
      response: new Response("{}"),
    })) as never);
  const queries = new QueryClient();
  const { result } = renderHook(() => useEntitlementNames(ids), {
    wrapper: ({ children }: { children: ReactNode }) => <QueryClientProvider client={queries}>{children}</QueryClientProvider>,
  });
  await waitFor(() => expect(result.current("e50")).toBe("Zebra · role e50"));
  expect(result.current("e0")).toBe("Zebra · role e0");
  expect(result.current("other")).toBeUndefined();
  expect((get.mock.calls as unknown[][]).map((call) => call[0])).toEqual(["/v1/apps/{app_id}/entitlements", "/v1/apps/{app_id}/entitlements", "/v1/apps"]);
});
