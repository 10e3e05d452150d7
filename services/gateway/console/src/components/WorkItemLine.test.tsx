import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { render, screen } from "@testing-library/react";
import { expect, test, vi } from "vitest";
import { api, type User, type WorkItem } from "@/api/client";
import { WorkItemLine } from "./WorkItemLine";

const failed = { id: "1", kind: "WORK_ITEM_KIND_FIX_OPERATION", state: "WORK_ITEM_STATE_OPEN", appName: "Ledger", createTime: "2026-01-02T03:04:05Z" } as WorkItem;

function acts(role: User["role"], runs: boolean) {
  vi.spyOn(api, "useQuery").mockReturnValue({ data: { user: { role } } } as never);
  const { unmount } = render(
    <QueryClientProvider client={new QueryClient()}>
      <WorkItemLine item={failed} runs={runs} />
    </QueryClientProvider>,
  );
  const names = screen.queryAllByRole("button").map((b) => b.textContent);
  unmount();
  return names;
}

// B-USR-06: nobody is offered what they would be refused.
test("who may act on a work item is offered to, and a risk manager only sees it", () => {
  const both = ["Retry", "Resolve"];
  expect(acts("ROLE_IT_ADMIN", false)).toEqual(both);
  expect(acts("ROLE_MEMBER", true)).toEqual(both);
  expect(acts("ROLE_MEMBER", false)).toEqual([]);
  expect(acts("ROLE_RISK_MANAGER", true)).toEqual([]);
});
