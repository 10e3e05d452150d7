import { afterEach, expect, test, vi } from "vitest";
import { draft } from "./draft";

afterEach(() => {
  vi.useRealTimers();
  sessionStorage.clear();
});

const written = { app: "chat", apps: ["chat"], chosen: [{ id: "1" }] as never, whom: "me", length: "week", justification: "to talk" } as const;

test("what was not sent is there again, for the same form and person, for a while", () => {
  vi.useFakeTimers();
  draft.keep("ann", { ...written, apps: [...written.apps] });
  expect(draft.read("ann", "chat")).toMatchObject(written);
  expect(draft.read("ben", "chat")).toBeUndefined();
  expect(draft.read("ann", undefined)).toBeUndefined();
  expect(draft.read(undefined, "chat")).toBeUndefined();
  vi.setSystemTime(Date.now() + 13 * 3600_000);
  expect(draft.read("ann", "chat")).toBeUndefined();
});

test("what was sent, or emptied, is kept no more, and what is no draft is none", () => {
  draft.keep("ann", { ...written, apps: [] });
  draft.forget();
  expect(draft.read("ann", "chat")).toBeUndefined();
  draft.keep("ann", { ...written, apps: [] });
  draft.keep("ann", { ...written, apps: [], chosen: [], justification: " " });
  expect(draft.read("ann", "chat")).toBeUndefined();
  sessionStorage.setItem("ask", "{");
  expect(draft.read("ann", "chat")).toBeUndefined();
});
