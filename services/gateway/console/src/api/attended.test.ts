import { afterEach, expect, test, vi } from "vitest";
import { client } from "./client";
import { isAttended } from "./attended";

afterEach(() => vi.useRealTimers());

test("who does nothing for a while is not there, and any touch says that they are", () => {
  vi.useFakeTimers();
  for (const event of [new Event("pointermove"), new Event("keydown"), new Event("wheel"), new Event("click"), new Event("input"), new Event("focusin")]) {
    vi.setSystemTime(Date.now() + 3600_000);
    expect(isAttended()).toBe(false);
    window.dispatchEvent(event);
    expect(isAttended()).toBe(true);
    vi.setSystemTime(Date.now() + 60_000);
    expect(isAttended()).toBe(true);
  }
});

test("a call while nobody is there says so", async () => {
  vi.useFakeTimers();
  const said: (string | null)[] = [];
  const fetch = (r: Request) => {
    said.push(r.headers.get("Gatehouse-Background"));
    return Promise.resolve(Response.json({}));
  };
  window.dispatchEvent(new Event("keydown"));
  await client.GET("/v1/me", { fetch });
  vi.setSystemTime(Date.now() + 3600_000);
  await client.GET("/v1/me", { fetch });
  expect(said).toEqual([null, "true"]);
});

// However it was done, by a voice or a switch.
test("what changes something was asked for by somebody", async () => {
  vi.useFakeTimers();
  window.dispatchEvent(new Event("keydown"));
  vi.setSystemTime(Date.now() + 3600_000);
  let said: string | null = "";
  const fetch = (r: Request) => {
    said = r.headers.get("Gatehouse-Background");
    return Promise.resolve(Response.json({}));
  };
  await client.POST("/v1/conversations/{conversation_id}/messages", { params: { path: { conversation_id: "1" } }, body: { text: "hello" }, fetch });
  expect(said).toBeNull();
  // A preview changes nothing, and a page looks at it again by itself when the network has come back.
  await client.POST("/v1/requests:preview", { body: { request: { kind: "REQUEST_KIND_GRANT", entitlementIds: ["1"] } }, fetch });
  expect(said).toBe("true");
});
