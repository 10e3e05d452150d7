import { useState } from "react";
import { expect, test } from "vitest";
import { render, screen, waitFor } from "@testing-library/react";
import { userEvent } from "@testing-library/user-event";
import { SearchBox } from "./SearchBox";

function Page() {
  const [words, setWords] = useState<string>();
  return (
    <>
      <SearchBox label="Search" value={words} onChange={setWords} />
      <p>{words ?? "everything"}</p>
      <button onClick={() => setWords(undefined)}>Show everything</button>
    </>
  );
}

test("what is typed is told, and what is cleared elsewhere is not typed any more", async () => {
  render(<Page />);
  await userEvent.type(screen.getByRole("searchbox"), "ada");
  expect(await screen.findByText("ada")).toBeTruthy();
  await userEvent.click(screen.getByText("Show everything"));
  await waitFor(() => expect(screen.getByRole<HTMLInputElement>("searchbox").value).toBe(""));
  await new Promise((done) => setTimeout(done, 400));
  expect(screen.getByText("everything")).toBeTruthy();
});

test("who is on the way to another page is not brought back", async () => {
  render(<Page />);
  await userEvent.type(screen.getByRole("searchbox"), "ada");
  const here = globalThis.location.pathname;
  globalThis.history.pushState(null, "", "/elsewhere");
  await new Promise((done) => setTimeout(done, 400));
  globalThis.history.pushState(null, "", here);
  expect(screen.getByText("everything")).toBeTruthy();
});
