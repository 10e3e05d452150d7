// What stands outside of the console in a story: an identity provider, an app with SCIM, and what
// was set up before the story begins.
import assert from "node:assert/strict";
import { generateKeyPairSync, sign } from "node:crypto";
import { createServer } from "node:http";
import { inflateRawSync } from "node:zlib";
import { readFile } from "node:fs/promises";
import { base } from "./browser.mjs";

/** One call of Gatehouse by a program. What may pass, or is not known everywhere yet, is asked for again for twenty seconds. */
export async function call(token, method, path, body) {
  for (const end = Date.now() + 20_000; ; await pause(100)) {
    const response = await fetch(base + path, {
      method,
      headers: { "Content-Type": "application/json", ...(token && { Authorization: `Bearer ${token}` }) },
      body: body && JSON.stringify(body),
    });
    const text = await response.text();
    if (response.ok) return text && JSON.parse(text);
    const passes = [429, 503].includes(response.status) || /_UNKNOWN|NOT_KNOWN_YET|NOT_COVERED_BY_FLOW|USER_NOT_FOUND/.test(text);
    if (!passes || Date.now() > end) throw new Error(`${method} ${path}: ${response.status} ${text}`);
  }
}

/** Somebody who acts by a program: sets up what no story is about. */
export async function actor(userName) {
  const { token } = await call("", "POST", "/v1/sessions:devSignIn", { userName });
  return (method, path, body) => call(token, method, path, body);
}

export const admin = () => actor("ada@demo.example");

/** An identity provider with a source of its own, of an environment if one is named. People are known by their full names. */
export async function identityProvider(name, environmentId) {
  const ada = await admin();
  const made = await ada("POST", "/v1/sources", { name, kind: "SOURCE_KIND_SCIM", environmentId });
  const scim = (method, path, body) => call(made.token, method, "/scim/v2" + path, body);
  const patch = (...Operations) => ({ schemas: ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], Operations });
  const enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
  return {
    /** Somebody comes; answers with who they are in Gatehouse. */
    async joins(displayName, { manager, role, groups = [] } = {}) {
      const [givenName, familyName] = displayName.split(" ");
      const userName = displayName.toLowerCase().replace(" ", ".") + "@story.example";
      const { id } = await scim("POST", "/Users", {
        schemas: ["urn:ietf:params:scim:schemas:core:2.0:User", enterprise],
        userName,
        displayName,
        name: { givenName, familyName },
        emails: [{ value: userName, type: "work", primary: true }],
        active: true,
        ...(manager && { [enterprise]: { manager: { value: manager.id } } }),
      });
      if (role) await ada("POST", `/v1/users/${id}:setRole`, { role });
      for (const group of groups) await scim("PATCH", `/Groups/${group}`, patch({ op: "add", path: "members", value: [{ value: id }] }));
      return { id, userName, name: displayName };
    },
    async group(displayName) {
      return (await scim("POST", "/Groups", { schemas: ["urn:ietf:params:scim:schemas:core:2.0:Group"], displayName })).id;
    },
    /** Something of somebody changes, such as their title. */
    changes: (person, path, value) => scim("PATCH", `/Users/${person.id}`, patch({ op: "replace", path, value })),
    leaves: (person) => scim("DELETE", `/Users/${person.id}`),
    setActive: (person, active) => scim("PATCH", `/Users/${person.id}`, patch({ op: "replace", path: "active", value: active })),
  };
}

/** An app that is set up already: its id, and the ids of what can be held in it, by name. */
export async function app(fields, ...entitlements) {
  const ada = await admin();
  const { id } = (await ada("POST", "/v1/apps", fields)).app;
  for (const name of entitlements) await ada("POST", `/v1/apps/${id}/entitlements`, { name, kind: "ENTITLEMENT_KIND_ROLE", ref: name, description: `The rights of ${name}` });
  return { id, name: fields.name, ...(await held(id)) };
}

async function held(id) {
  const { entitlements } = await (await admin())("GET", `/v1/apps/${id}/entitlements?pageSize=1000`);
  return Object.fromEntries(entitlements.map((e) => [e.name, e.id]));
}

/** An app of the demo organization, in the same way. */
export async function demoApp(name) {
  const ada = await admin();
  const { id } = await until(name, async () => (await ada("GET", `/v1/apps?query=${encodeURIComponent(name)}`)).apps.find((a) => a.name === name));
  return { id, name, ...(await held(id)) };
}

export async function flow(fields) {
  return (await (await admin())("POST", "/v1/flows", { flow: fields })).flow.id;
}

/** Waits until what is asked for is so. */
export async function until(what, asks) {
  for (const end = Date.now() + 20_000; ; await pause(100)) {
    const found = await asks();
    if (found) return found;
    assert(Date.now() < end, `never: ${what}`);
  }
}

const pause = (ms) => new Promise((done) => setTimeout(done, ms));

/** The text of all sheets of an XLSX file. */
export async function sheets(path) {
  const file = await readFile(path);
  let text = "";
  // The directory at the end of a ZIP file has an entry for each part.
  for (let at = file.indexOf("PK\x01\x02", 0, "latin1"); at >= 0; at = file.indexOf("PK\x01\x02", at + 4, "latin1")) {
    const name = file.toString("utf8", at + 46, at + 46 + file.readUInt16LE(at + 28));
    if (!/sheet\d+\.xml$|sharedStrings\.xml$/.test(name)) continue;
    const local = file.readUInt32LE(at + 42);
    const data = local + 30 + file.readUInt16LE(local + 26) + file.readUInt16LE(local + 28);
    const bytes = file.subarray(data, data + file.readUInt32LE(at + 20));
    text += file.readUInt16LE(at + 10) === 8 ? inflateRawSync(bytes) : bytes;
  }
  return text;
}

/** A small app with SCIM, which refuses to change some kind of resource for as long as it is told. */
export async function scimApp(...groupNames) {
  const users = new Map();
  const groups = new Map(groupNames.map((displayName, i) => [`g${i}`, { id: `g${i}`, displayName, members: [] }]));
  const state = { token: crypto.randomUUID(), refuses: undefined, users, groups };
  const server = createServer(async (request, response) => {
    let body = "";
    for await (const chunk of request) body += chunk;
    const say = (status, answer) => response.writeHead(status, { "Content-Type": "application/scim+json" }).end(answer && JSON.stringify(answer));
    const url = new URL(request.url, "http://app");
    const [, kind, id] = url.pathname.split("/");
    if (request.headers.authorization !== `Bearer ${state.token}`) return say(401, { detail: "the token is wrong" });
    if (kind === "ServiceProviderConfig") return say(200, { patch: { supported: true } });
    if (request.method !== "GET" && kind === state.refuses) return say(403, { detail: "nobody may do this" });
    const all = kind === "Users" ? users : groups;
    const one = all.get(id);
    if (id && !one) return say(404, { detail: "there is none" });
    switch (request.method) {
      case "GET": {
        if (id) return say(200, one);
        const wanted = [...(url.searchParams.get("filter") ?? "").matchAll(/(\w+) eq "([^"]*)"/g)];
        const found = [...all.values()].filter((r) => wanted.length === 0 || wanted.some(([, field, value]) => r[field]?.toLowerCase() === value.toLowerCase()));
        return say(200, { schemas: ["urn:ietf:params:scim:api:messages:2.0:ListResponse"], totalResults: found.length, startIndex: 1, itemsPerPage: found.length, Resources: found });
      }
      case "POST": {
        const made = { ...JSON.parse(body), id: crypto.randomUUID() };
        all.set(made.id, made);
        return say(201, made);
      }
      case "PATCH":
        for (const { op, path, value } of JSON.parse(body).Operations) {
          if (kind === "Users") one[path] = value;
          else if (op.toLowerCase() === "add") one.members.push(...value);
          else one.members = one.members.filter((m) => !path.includes(m.value));
        }
        return say(204);
      case "DELETE":
        all.delete(id);
        return say(204);
    }
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  return Object.assign(state, { address: `http://127.0.0.1:${server.address().port}`, close: () => server.close() });
}

/** A small OpenID provider with one client. Who comes is signed in at once, as whom it is told. */
export async function openIDProvider() {
  const { publicKey, privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const state = { clientId: "gatehouse", secret: crypto.randomUUID(), claims: { sub: "nobody" } };
  const codes = new Map();
  const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const token = (claims) => {
    const text = `${part({ alg: "RS256", kid: "one" })}.${part(claims)}`;
    return `${text}.${sign("sha256", Buffer.from(text), privateKey).toString("base64url")}`;
  };
  const server = createServer(async (request, response) => {
    let body = "";
    for await (const chunk of request) body += chunk;
    const url = new URL(request.url, state.issuer);
    const say = (status, answer) => response.writeHead(status, { "Content-Type": "application/json" }).end(JSON.stringify(answer));
    switch (url.pathname) {
      case "/.well-known/openid-configuration":
        return say(200, {
          issuer: state.issuer,
          authorization_endpoint: `${state.issuer}/authorize`,
          token_endpoint: `${state.issuer}/token`,
          jwks_uri: `${state.issuer}/keys`,
          response_types_supported: ["code"],
          subject_types_supported: ["public"],
          id_token_signing_alg_values_supported: ["RS256"],
          code_challenge_methods_supported: ["S256"],
          token_endpoint_auth_methods_supported: ["client_secret_post"],
        });
      case "/keys":
        return say(200, { keys: [{ ...publicKey.export({ format: "jwk" }), kid: "one", alg: "RS256", use: "sig" }] });
      case "/authorize": {
        const code = crypto.randomUUID();
        codes.set(code, { nonce: url.searchParams.get("nonce"), ...state.claims });
        const back = new URL(url.searchParams.get("redirect_uri"));
        back.searchParams.set("code", code);
        back.searchParams.set("state", url.searchParams.get("state"));
        return response.writeHead(302, { Location: back.href }).end();
      }
      case "/token": {
        const asked = new URLSearchParams(body);
        const claims = codes.get(asked.get("code"));
        if (!claims || asked.get("client_id") !== state.clientId || asked.get("client_secret") !== state.secret) return say(401, { error: "invalid_client" });
        const now = Math.floor(Date.now() / 1000);
        return say(200, { access_token: "of no use", token_type: "Bearer", id_token: token({ iss: state.issuer, aud: state.clientId, iat: now, exp: now + 300, auth_time: now, ...claims }) });
      }
    }
    return say(404, {});
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  return Object.assign(state, { issuer: `http://127.0.0.1:${server.address().port}`, close: () => server.close() });
}
