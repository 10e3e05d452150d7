import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { render, waitFor } from "@testing-library/react";
import { afterEach, expect, test, vi } from "vitest";
import { client } from "./client";
import { AppIconOf } from "@/components/AppIcon";

afterEach(() => vi.restoreAllMocks());

test("rows that are drawn together ask for their icons once, each app once", async () => {
  const get = vi.spyOn(client, "GET").mockResolvedValue({ data: { apps: [{ id: "b", icon: "chat" }, { id: "a", icon: "code" }] } } as never);
  const { container } = render(
    <QueryClientProvider client={new QueryClient()}>
      <AppIconOf id="a" name="Code" />
      <AppIconOf id="b" name="Talk" />
      <AppIconOf id="a" name="Code" />
      <AppIconOf id="gone" name="Gone" />
      <AppIconOf id={undefined} name="None" />
    </QueryClientProvider>,
  );
  await waitFor(() => expect(container.querySelectorAll("path")).toHaveLength(3));
  expect(get.mock.calls).toEqual([["/v1/apps", { params: { query: { filter: 'id = "a" OR id = "b" OR id = "gone"', pageSize: 50 } } }]]);
  expect(container.textContent).toBe("GN");
});
