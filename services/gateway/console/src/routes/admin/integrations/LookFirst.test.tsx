import { render, screen } from "@testing-library/react";
import { userEvent } from "@testing-library/user-event";
import { expect, test, vi } from "vitest";
import { type AccountPreview, client } from "@/api/client";
import { Problem } from "@/api/problem";
import { LookFirst } from "./LookFirst";

const rules = { provisioning: "PROVISIONING_SUPPORT_AUTOMATIC", accountAdoption: "ACCOUNT_ADOPTION_ASK" } as const;
const account = (displayName: string, found: AccountPreview["found"], more: object = {}) =>
  ({ account: { id: displayName, externalId: "a1", userName: displayName, user: { displayName } }, found, ...more }) as AccountPreview;

const show = (moves: boolean) =>
  render(<LookFirst app={{ id: "app", name: "Code" }} rules={rules} at={{ integrationId: "there" }} moves={moves} />);
const look = () => userEvent.click(screen.getByRole("button", { name: "Look for the accounts of Code there" }));

test("what is found is shown page by page, with what follows", async () => {
  const post = vi
    .spyOn(client, "POST")
    .mockResolvedValueOnce({ data: { accounts: [account("Ada", "ACCOUNT_FOUND_OURS", { foundExternalId: "a1" }), account("Bo", "ACCOUNT_FOUND_BY_USER_NAME", { foundUserName: "bo" })], nextPageToken: "two" } } as never)
    .mockRejectedValueOnce(new Problem(429, "RATE_LIMITED", "too many calls"))
    .mockResolvedValueOnce({ data: { accounts: [account("Cy", "ACCOUNT_FOUND_UNKNOWN", { error: "the app does not answer" })], nextPageToken: "" } } as never);
  show(true);
  expect(post).not.toHaveBeenCalled();
  await look();
  expect(post).toHaveBeenLastCalledWith("/v1/integrations:previewAccounts", { body: { appId: "app", integrationId: "there", pageToken: "" } });
  expect(screen.getByRole("status").textContent).toBe("2 accounts were looked for. Theirs: 1 · Same user name: 1");
  expect(screen.getByText("Nobody knows whose it is. A person is asked before it is used.")).toBeTruthy();
  // Ada's is the same account.
  expect(screen.getByText("The present account, Bo, stays where it is. A work item asks a person to remove it.")).toBeTruthy();
  expect(screen.queryByText(/The present account, Ada/)).toBeNull();

  // What was found stays when the next page fails, which is asked for again.
  await userEvent.click(screen.getByRole("button", { name: "Show more" }));
  expect(screen.getByRole("alert").textContent).toContain("too many calls");
  await userEvent.click(screen.getByRole("button", { name: "Try again" }));
  expect(post).toHaveBeenLastCalledWith("/v1/integrations:previewAccounts", { body: { appId: "app", integrationId: "there", pageToken: "two" } });
  expect(screen.getByRole("status").textContent).toBe("3 accounts were looked for. Theirs: 1 · Same user name: 1 · Unknown: 1");
  expect(screen.getByText("the app does not answer")).toBeTruthy();
  expect(screen.queryByRole("button", { name: "Show more" })).toBeNull();
});

test("where nothing moves nothing is left behind", async () => {
  vi.spyOn(client, "POST").mockResolvedValueOnce({ data: { accounts: [account("Ada", "ACCOUNT_FOUND_NONE")] } } as never);
  show(false);
  await look();
  expect(screen.getByText("One is made if the person holds something in the app.")).toBeTruthy();
  expect(screen.queryByText(/The present account/)).toBeNull();
});

test("an app of which no account is known says so", async () => {
  vi.spyOn(client, "POST").mockResolvedValueOnce({ data: {} } as never);
  show(true);
  await look();
  expect(screen.getByRole("status").textContent).toBe("No account is known: there is nothing to look for.");
});
