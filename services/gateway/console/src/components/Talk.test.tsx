import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { fireEvent, render, screen, waitFor } from "@testing-library/react";
import { expect, test } from "vitest";
import { Talk } from "./Talk";

// B-REQ-04: the API knows a repeated call by its id, and refuses other words under it.
test("words that got no answer are sent again as the same, and others as others", async () => {
  const said: [string, string][] = [];
  let fails = true;
  const say = (text: string, id: string) => {
    said.push([text, id]);
    return fails ? Promise.reject(new Error("no answer")) : Promise.resolve();
  };
  render(
    <QueryClientProvider client={new QueryClient({ defaultOptions: { mutations: { retry: false } } })}>
      <Talk said={[]} label="Say" may say={say} />
    </QueryClientProvider>,
  );
  const box = screen.getByRole<HTMLTextAreaElement>("textbox");
  const send = async (text: string) => {
    const before = said.length;
    fireEvent.change(box, { target: { value: text } });
    fireEvent.submit(box.closest("form")!);
    await waitFor(() => expect(said.length).toBe(before + 1));
    await waitFor(() => expect(screen.getByRole<HTMLButtonElement>("button").getAttribute("data-pending")).toBeNull());
  };
  await send("Hello");
  await send(" Hello ");
  await send("Hello there");
  fails = false;
  await send("Hello there");
  await waitFor(() => expect(box.value).toBe(""));
  await send("Hello there");
  const ids = said.map(([, id]) => id);
  expect(ids[1]).toBe(ids[0]);
  expect(ids[2]).not.toBe(ids[0]);
  expect(ids[3]).toBe(ids[2]);
  expect(ids[4]).not.toBe(ids[3]);
});
