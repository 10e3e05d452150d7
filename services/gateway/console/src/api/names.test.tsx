import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { renderHook, waitFor } from "@testing-library/react";
import type { ReactNode } from "react";
import { expect, test, vi } from "vitest";
import { client } from "./client";
import { useEntitlementNames } from "./names";

// B-ONB-18: what is chosen has its name, in whichever of any number of apps it is.
test("what is in an app that was looked at is known without asking for every app", async () => {
  const get = vi.spyOn(client, "GET").mockImplementation(((path: string) =>
    Promise.resolve({ data: path === "/v1/apps" ? { apps: [] } : { entitlements: [{ id: "e", name: "account" }] }, response: new Response("{}") })) as never);
  const queries = new QueryClient();
  const { result } = renderHook(() => useEntitlementNames(["e"], [{ id: "far", name: "Zebra" }]), {
    wrapper: ({ children }: { children: ReactNode }) => <QueryClientProvider client={queries}>{children}</QueryClientProvider>,
  });
  await waitFor(() => expect(result.current("e")).toBe("Zebra · account"));
  expect((get.mock.calls as unknown[][]).map((call) => call[0])).toEqual(["/v1/apps/{app_id}/entitlements"]);
});
