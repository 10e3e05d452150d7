// A Gatehouse of its own with a large organization in it, made through the public API.
import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";

const patience = 60_000;
const atOnce = 16;

/** Starts a Gatehouse with nothing in it; end ends it and removes what it kept. */
export async function start(program) {
  const dataDir = await mkdtemp(join(tmpdir(), "gatehouse-console-"));
  const child = spawn(program, ["-http-addr", "127.0.0.1:0", "-data-dir", dataDir, "-demo=false"], {
    env: { ...process.env, GATEHOUSE_RATE_LIMITS: "false" },
    stdio: ["ignore", "ignore", "inherit"],
  });
  const ended = new Promise((resolve) => child.on("exit", resolve));
  const end = async () => {
    child.kill("SIGTERM");
    await ended;
    await rm(dataDir, { recursive: true, force: true });
  };
  try {
    const base = await eventually(async () => {
      if (child.exitCode !== null) throw new Error("Gatehouse ended");
      const { url } = JSON.parse(await readFile(join(dataDir, "runtime.json"), "utf8"));
      const { ok } = await fetch(url + "/readyz");
      if (!ok) throw new Error("not ready");
      return url;
    });
    return { base, end };
  } catch (error) {
    await end();
    throw error;
  }
}

/** Makes an organization of some size. A fifth of the requests are one person's; all wait for one reviewer. Says who is who, and how many are that person's. */
export async function fill(base, { apps, requests, people = 50 }) {
  const call = async (token, method, path, body) => {
    const response = await fetch(base + path, {
      method,
      headers: { "Content-Type": "application/json", ...(token ? { Authorization: `Bearer ${token}` } : {}) },
      body: body && JSON.stringify(body),
    });
    const answer = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${answer}`);
    return JSON.parse(answer);
  };
  const mail = (name) => `${name}@bench.example`;
  const { token: admin } = await call("", "POST", "/v1/organizations:signUp", { organizationName: "Bench", email: mail("root"), displayName: "Root" });
  const { token: scim } = await call(admin, "POST", "/v1/sources", { name: "Bench", kind: "SOURCE_KIND_SCIM" });
  const person = async (name) => {
    const user = { schemas: ["urn:ietf:params:scim:schemas:core:2.0:User"], userName: mail(name), externalId: name, displayName: name, active: true };
    const { id } = await call(scim, "POST", "/scim/v2/Users", { ...user, emails: [{ value: mail(name), primary: true }] });
    const { token } = await call("", "POST", "/v1/sessions:devSignIn", { userName: mail(name) });
    return { id, token };
  };
  const reviewer = await person("reviewer");
  const askers = [];
  for (let i = 0; i < people; i++) askers.push(await person(`person-${i}`));
  const flow = {
    name: "One step",
    trigger: "FLOW_TRIGGER_REQUEST",
    audience: { everyone: true },
    scope: { any: true },
    steps: [{ name: "Reviewer", reviewers: "REVIEWER_KIND_USERS", userIds: [reviewer.id], need: "STEP_NEED_ANY" }],
  };
  await eventually(() => call(admin, "POST", "/v1/flows", { flow }));
  const accounts = await many(apps, async (i) => {
    const app = { name: `App ${String(i).padStart(5, "0")}`, description: "An app of many, with a sentence about what it is for.", provisioning: "PROVISIONING_SUPPORT_MANUAL" };
    return (await call(admin, "POST", "/v1/apps", app)).account.id;
  });
  // Each asks for something else each time.
  const own = Math.min(Math.floor(requests / 5), apps);
  const ask = (who, what) => ({ who, body: { kind: "REQUEST_KIND_GRANT", entitlementIds: [accounts[what % apps]], justification: "to measure how it is shown" } });
  const all = Array.from({ length: requests }, (_, i) => (i < own ? ask(askers[0], i) : ask(askers[1 + (i % (people - 1))], Math.floor(i / (people - 1)))));
  // The catalog hears of new people, and the approvals of new apps, a moment later.
  await eventually(() => call(askers[0].token, "GET", "/v1/me"));
  const made = await many(requests, async (i) => {
    const { who, body } = all[i];
    const requestId = randomUUID();
    return eventually(async () => (await call(who.token, "POST", "/v1/requests", { requestId, ...body })).request.id);
  });
  // It is said to be made when the reviewer has the last of it.
  await eventually(async () => {
    const { request } = await call(admin, "GET", `/v1/requests/${made.at(-1)}`);
    if (request.state !== "REQUEST_STATE_PENDING") throw new Error(`the last request is ${request.state}`);
  });
  return { admin: mail("root"), asker: mail("person-0"), reviewer: mail("reviewer"), request: made[0], own };
}

/** Does something a number of times, some at once. */
async function many(count, f) {
  const results = [];
  let next = 0;
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      while (next < count) {
        const i = next++;
        results[i] = await f(i);
      }
    }),
  );
  return results;
}

async function eventually(f) {
  const until = Date.now() + patience;
  for (;;) {
    try {
      return await f();
    } catch (error) {
      if (Date.now() > until) throw error;
      await wait(100);
    }
  }
}
