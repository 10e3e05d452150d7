// An independent SCIM 2.0 server (scimmy) for the tests of the SCIM connector.
// It shares no code with Gatehouse, so that both sides cannot be wrong in the same way.
//
//   SCIM_TOKEN=secret [SCIM_GROUPS="Engineering,Sales"] [SCIM_IDS=counted] node scimtarget.mjs [port] [--until-eof]
//
// With SCIM_IDS=counted users have the ids 1, 2, 3, as in many an app, so that two tenants have the same.
// Port 0, the default, takes a free one. One line of JSON on stdout says where the server is.
// With --until-eof it ends when its standard input does, so that it never outlives a test.
// Everything is kept in memory. Listens on loopback only.
import {randomUUID, timingSafeEqual} from "node:crypto";
import process from "node:process";
import express from "express";
import SCIMMY from "scimmy";
import SCIMMYRouters from "scimmy-routers";

const token = process.env.SCIM_TOKEN;
if (!token) {
  console.error("scimtarget: SCIM_TOKEN is not set");
  process.exit(2);
}
const port = Number(process.argv[2]?.match(/^\d+$/)?.[0] ?? 0);

const {Error: ScimError, Filter} = SCIMMY.Types;
const users = new Map(); // id -> user
const groups = new Map(); // id -> group; members by id of the user
let counted = 0;
const newId = () => (process.env.SCIM_IDS === "counted" ? String(++counted) : randomUUID());

// Attributes whose schema says caseExact false: compared folded. scimmy's own match is always exact.
const folded = new Set(["username", "displayname", "emails", "name", "title"]);
const fold = (value) =>
  typeof value === "string" ? value.toLowerCase()
    : Array.isArray(value) ? value.map(fold)
      : value && typeof value === "object" ? Object.fromEntries(Object.entries(value).map(([k, v]) => [k, fold(v)]))
        : value;
const foldSome = (object) =>
  Object.fromEntries(Object.entries(object).map(([k, v]) => [k, folded.has(k.toLowerCase()) ? fold(v) : v]));

const select = (resource, all) => {
  if (!resource.filter) return all;
  const filter = new Filter([...resource.filter].map(foldSome));
  return all.filter((value) => filter.match([foldSome(value)]).length > 0);
};

const found = (store, id, what) => {
  const value = store.get(id);
  if (!value) throw new ScimError(404, null, `${what} ${id} not found`);
  return value;
};

const meta = (resourceType, before) => {
  const now = new Date();
  return {resourceType, created: before?.meta.created ?? now, lastModified: now};
};

// A value is in a multi-valued attribute once, as in any table with a key.
const distinct = (values) => values && [...new Map(values.map((v) => [v.value, v])).values()];

const withGroups = (user) => {
  const own = [...groups.values()].filter((g) => g.members.has(user.id));
  return own.length ? {...user, groups: own.map((g) => ({value: g.id, display: g.displayName}))} : user;
};
const withMembers = (group) => ({
  ...group,
  members: [...group.members].map((id) => ({value: id, type: "User", display: users.get(id)?.userName})),
});

SCIMMY.Resources.declare(SCIMMY.Resources.User)
  .extend(SCIMMY.Schemas.EnterpriseUser, false)
  .egress((resource) => (resource.id
    ? withGroups(found(users, resource.id, "User"))
    : select(resource, [...users.values()].map(withGroups))))
  .ingress((resource, data) => {
    const before = resource.id ? found(users, resource.id, "User") : undefined;
    const name = data.userName?.toLowerCase();
    for (const other of users.values()) {
      if (other.id !== before?.id && other.userName.toLowerCase() === name) {
        throw new ScimError(409, "uniqueness", `userName ${data.userName} is taken`);
      }
    }
    const {groups: _, ...own} = data;
    const user = {
      ...own, active: own.active ?? true, roles: distinct(data.roles), entitlements: distinct(data.entitlements),
      id: before?.id ?? newId(), meta: meta("User", before),
    };
    users.set(user.id, user);
    return withGroups(user);
  })
  .degress((resource) => {
    found(users, resource.id, "User");
    users.delete(resource.id);
    for (const group of groups.values()) group.members.delete(resource.id);
  });

const putGroup = (id, data) => {
  const before = id ? found(groups, id, "Group") : undefined;
  const members = new Set((data.members ?? []).map((m) => m.value));
  for (const member of members) {
    if (!users.has(member)) throw new ScimError(400, "invalidValue", `Member ${member} is not a user`);
  }
  const group = {...data, id: before?.id ?? randomUUID(), members, meta: meta("Group", before)};
  groups.set(group.id, group);
  return withMembers(group);
};

SCIMMY.Resources.declare(SCIMMY.Resources.Group)
  .egress((resource) => (resource.id
    ? withMembers(found(groups, resource.id, "Group"))
    : select(resource, [...groups.values()].map(withMembers))))
  .ingress((resource, data) => putGroup(resource.id, data))
  .degress((resource) => {
    found(groups, resource.id, "Group");
    groups.delete(resource.id);
  });

for (const name of (process.env.SCIM_GROUPS ?? "").split(",").map((n) => n.trim()).filter(Boolean)) {
  putGroup(undefined, {displayName: name});
}

const expected = Buffer.from(`Bearer ${token}`);
const app = express();
app.disable("x-powered-by");
// Express 5 parses req.query anew each time it is read; scimmy-routers writes count and startIndex into it as numbers.
app.use((req, res, next) => {
  Object.defineProperty(req, "query", {value: {...req.query}, writable: true, enumerable: true, configurable: true});
  next();
});
app.use("/scim/v2", new SCIMMYRouters({
  type: "bearer",
  handler: (req) => {
    const given = Buffer.from(req.header("Authorization") ?? "");
    if (given.length !== expected.length || !timingSafeEqual(given, expected)) {
      throw new Error("The bearer token is missing or wrong");
    }
    return "gatehouse";
  },
}));

const server = app.listen(port, "127.0.0.1", (error) => {
  if (error) {
    console.error(`scimtarget: ${error.message}`);
    process.exit(1);
  }
  console.log(JSON.stringify({url: `http://127.0.0.1:${server.address().port}/scim/v2`}));
});

const stop = () => {
  server.close(() => process.exit(0));
  server.closeAllConnections();
};
process.on("SIGTERM", stop);
process.on("SIGINT", stop);
if (process.argv.includes("--until-eof")) {
  process.stdin.on("end", stop);
  process.stdin.resume();
}
