import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { fireEvent, render, screen, waitFor, within } from "@testing-library/react";
import { expect, test, vi } from "vitest";
import { api, client, type User } from "@/api/client";
import { Toasts } from "@/components/Toasts";
import { SetRole } from "./Manage";

const ben = { id: "ben", displayName: "Ben", role: "ROLE_MEMBER", kind: "USER_KIND_EMPLOYEE", environmentId: "", roleEnvironmentId: "" } as User;

/** Opens the dialog; gives the native list of roles in it. */
async function open() {
  fireEvent.click(screen.getByRole("button", { name: "Change the role" }));
  const dialog = await screen.findByRole("dialog");
  return { dialog, roles: dialog.querySelectorAll("select")[0]!, save: within(dialog).getByRole<HTMLButtonElement>("button", { name: "Change the role" }) };
}

function show(is: { role: User["role"] }) {
  vi.spyOn(api, "useQuery").mockReturnValue({ data: { user: { id: "ada", role: "ROLE_ADMIN" } } } as never);
  const given: unknown[] = [];
  vi.spyOn(client, "POST").mockImplementation(((_: string, { body }: { body: { role: User["role"] } }) => {
    given.push(body.role);
    is.role = body.role;
    return Promise.resolve({ data: { user: { ...ben, ...body } } });
  }) as never);
  vi.spyOn(client, "GET").mockImplementation((() => Promise.resolve({ data: { user: { ...ben, ...is } } })) as never);
  const page = (user: User) => (
    <QueryClientProvider client={new QueryClient()}>
      <SetRole user={user} />
      <Toasts />
    </QueryClientProvider>
  );
  const { rerender } = render(page(ben));
  return { given, becomes: (role: User["role"]) => rerender(page({ ...ben, role })) };
}

// B-USR-06: two admins at once.
test("undoing a role does not take back what somebody else has decided since", async () => {
  const is = { role: ben.role };
  const { given, becomes } = show(is);
  const { roles, save } = await open();
  fireEvent.change(roles, { target: { value: "ROLE_IT_ADMIN" } });
  fireEvent.click(save);
  const undo = await screen.findByRole("button", { name: /^Undo/ });
  expect(given).toEqual(["ROLE_IT_ADMIN"]);
  is.role = "ROLE_RISK_MANAGER";
  fireEvent.click(undo);
  await screen.findByText("It has been changed again since, and stays as it is.");
  expect(given).toEqual(["ROLE_IT_ADMIN"]);

  // The dialog begins with the role that they have by now.
  becomes("ROLE_RISK_MANAGER");
  await waitFor(() => expect(screen.queryByRole("dialog")).toBeNull());
  const again = await open();
  expect(again.roles.value).toBe("ROLE_RISK_MANAGER");
  expect(again.save.disabled).toBe(true);
});
