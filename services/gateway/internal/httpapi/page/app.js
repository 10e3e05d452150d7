// The API reference: reads /openapi.json, shows each operation, and sends it
// with the session of the page or with an API token. Text from documents and
// answers only ever becomes text nodes.
"use strict";

const verbs = ["get", "post", "put", "patch", "delete"];

// subjects puts services in the order in which somebody meets them. What is not
// named here comes last.
const subjects = [
  ["Access", ["RequestService", "TaskService", "GrantService", "AccountService"]],
  ["Catalog", ["AppService", "FlowService", "IntegrationService"]],
  ["Work", ["WorkItemService", "ChecklistService"]],
  ["Evidence", ["AuditService"]],
  ["Directory", ["UserService", "GroupService", "SourceService", "OrganizationService"]],
  ["Signing in", ["SessionService", "SignInService", "IdentityProviderService", "ApiTokenService"]],
  ["Operations", ["ParkedEventService"]],
  ["Standards", ["SCIM", "OAuth 2.0"]],
];

// el makes an element. Attributes beginning with "on" are listeners.
function el(name, attributes = {}, ...children) {
  const e = document.createElement(name);
  for (const [k, v] of Object.entries(attributes)) {
    if (v === undefined || v === false) continue;
    if (k.startsWith("on")) e.addEventListener(k.slice(2), v);
    else e.setAttribute(k, v === true ? "" : v);
  }
  e.append(...children.flat(Infinity).filter((c) => c !== undefined && c !== null && c !== ""));
  return e;
}

let doc;
let token = ""; // an API token, for as long as the page is open

// request sends with the API token, if there is one, else with the session.
function request(path, init = {}) {
  const headers = { Accept: "application/json", ...init.headers };
  if (token) headers.Authorization = `Bearer ${token}`;
  return fetch(path, { ...init, headers });
}

async function getJSON(path) {
  const r = await request(path);
  if (!r.ok) throw Object.assign(new Error(`${r.status} ${r.statusText}`), { status: r.status });
  return r.json();
}

const resolve = (schema) => (schema?.$ref ? doc.components.schemas[schema.$ref.split("/").pop()] ?? {} : schema ?? {});
const itemsOf = (schema) => (schema?.type === "array" ? schema.items : schema);
const oneLine = (text) => (text ?? "").replace(/\n(?!\n)/g, " ");
const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1);
// afterName drops the name that a comment in the contract begins with.
const afterName = (text) => sentence(oneLine(text).replace(/^[A-Z]\w+ /, ""));
const words = (name) => sentence(name.replace(/([a-z])([A-Z])/g, "$1 $2").toLowerCase()).replace(/^Api\b/, "API");
const subjectNames = { AuditService: "Audit log", SignInService: "Sign-in" };
const subjectName = (service) => subjectNames[service] ?? (service.endsWith("Service") ? `${words(service.replace(/Service$/, ""))}s` : service);
const known = (values) => values.filter((v) => !String(v).endsWith("_UNSPECIFIED"));

function typeName(schema) {
  if (schema?.type === "array") return `list of ${typeName(schema.items)}`;
  const s = resolve(schema);
  const name = schema?.$ref?.split(".").pop();
  if (s.enum) return name ?? "one of a list";
  if (s.properties || s.type === "object") return name ?? "object";
  return s.format === "date-time" ? "time" : s.format ?? s.type ?? "any";
}

// example makes a value of a schema's form, to be edited.
function example(schema, depth = 0) {
  const s = resolve(schema);
  if (s.enum) return known(s.enum)[0] ?? s.enum[0];
  if (s.type === "array") return [];
  if (s.properties) return depth > 2 ? {} : Object.fromEntries(Object.entries(s.properties).map(([k, v]) => [k, example(v, depth + 1)]));
  if (s.type === "boolean") return false;
  if (s.type === "integer" || s.type === "number") return 0;
  return s.format === "date-time" ? null : "";
}

// fields lists a message's fields; those of a field's own message are unfolded
// on demand.
function fields(schema) {
  const rows = Object.entries(resolve(schema).properties ?? {}).flatMap(([name, s]) => {
    const r = resolve(itemsOf(s));
    const meaning = el("td", {}, oneLine(s.description ?? r.description));
    if (r.enum) meaning.append(el("div", { class: "values" }, known(r.enum).join(", ")));
    const row = el("tr", {}, el("td", {}, el("code", {}, name)), el("td", { class: "quiet" }, typeName(s)), meaning);
    if (!r.properties) return [row];
    const more = el("details", {}, el("summary", {}, `Fields of ${typeName(itemsOf(s))}`));
    more.addEventListener("toggle", () => { if (more.open && more.children.length === 1) more.append(fields(itemsOf(s))); });
    row.classList.add("unfolds");
    return [row, el("tr", {}, el("td", { colspan: "3" }, more))];
  });
  if (!rows.length) return undefined;
  return el("table", {}, el("thead", {}, el("tr", {}, ["Field", "Type", "Meaning"].map((h) => el("th", { scope: "col" }, h)))), el("tbody", {}, rows));
}

// bodyOf is the schema of a body: there is one for each operation, JSON or a form.
const bodyOf = (content) => Object.entries(content ?? {}).find(([type]) => type !== "*/*")?.[1].schema;

// operation is one row, filled when it is opened for the first time.
function operation(verb, path, op) {
  const inside = el("div", { class: "inside" });
  const details = el("details", { class: "op", id: op.operationId },
    el("summary", {},
      el("span", { class: `verb ${verb}` }, verb.toUpperCase()), " ",
      el("span", { class: "path" }, path), " ",
      el("span", { class: "what" }, afterName(op.summary))),
    inside);
  details.addEventListener("toggle", () => {
    if (!details.open) return;
    if (!inside.hasChildNodes()) fill(inside, verb, path, op);
    history.replaceState(null, "", `#${op.operationId}`);
  });
  details.dataset.text = `${verb} ${path} ${op.operationId} ${words(op.operationId.split("_").pop())} ${op.summary} ${op.description ?? ""}`.toLowerCase();
  return details;
}

function fill(inside, verb, path, op) {
  for (const paragraph of (op.description ?? "").split("\n\n")) {
    const callers = /^Callers: (.*)\.$/.exec(paragraph);
    if (callers) inside.append(el("div", { class: "roles" }, "Who may call it:", callers[1].split(", ").map((c) => el("span", {}, c.replaceAll("_", " ")))));
    else if (paragraph) inside.append(el("p", {}, oneLine(paragraph)));
  }
  const parameters = op.parameters ?? [];
  const bodySchema = bodyOf(op.requestBody?.content);
  if (parameters.length) {
    inside.append(el("h3", {}, "Parameters"), el("table", {},
      el("thead", {}, el("tr", {}, ["Name", "Where", "Meaning"].map((h) => el("th", { scope: "col" }, h)))),
      el("tbody", {}, parameters.map((p) => el("tr", {},
        el("td", {}, el("code", {}, p.name)),
        el("td", { class: "quiet" }, p.required ? `${p.in}, needed` : p.in),
        el("td", {}, oneLine(p.description)))))));
  }
  const table = bodySchema && fields(bodySchema);
  if (table) inside.append(el("h3", {}, "Body"), table);
  const good = Object.entries(op.responses ?? {}).find(([code]) => code.startsWith("2"))?.[1];
  const answer = bodyOf(good?.content);
  const shape = answer && fields(answer);
  if (shape) inside.append(el("h3", {}, "Answer"), shape);
  else if (!answer) inside.append(el("h3", {}, "Answer"), el("p", {}, good?.content ? "A file." : good?.description));
  // What a standard describes wants another token than people have.
  if (op["x-standard"]) return;
  inside.append(tryIt(verb, path, op, parameters, bodySchema));
}

// field is an input for a parameter.
function field(p, id) {
  const s = resolve(p.schema);
  const choices = s.enum ? known(s.enum) : s.type === "boolean" ? ["true", "false"] : undefined;
  if (choices) return el("select", { id }, el("option", { value: "" }, "any"), choices.map((c) => el("option", {}, c)));
  return el("input", {
    id, autocomplete: "off", spellcheck: "false", required: p.in === "path",
    inputmode: s.type === "integer" ? "numeric" : undefined,
    placeholder: s.format === "date-time" ? "2026-01-31T09:00:00Z" : undefined,
  });
}

function tryIt(verb, path, op, parameters, bodySchema) {
  const inputs = parameters.map((p) => [p, field(p, `${op.operationId}.${p.name}`)]);
  const form = el("form", { class: "try", novalidate: true, "aria-label": `Try ${op.operationId.split("_").pop()}` }, el("h3", {}, "Try it"));
  if (inputs.length) {
    form.append(el("div", { class: "inputs" }, inputs.map(([p, input]) => [
      el("label", { for: input.id }, p.name, p.in === "path" ? el("span", { class: "quiet" }, " needed") : undefined), input])));
  }
  let body;
  if (bodySchema) {
    // A change names only what it changes: an example with all fields would
    // empty them.
    const given = op.requestBody.content["application/json"]?.example;
    const text = JSON.stringify(given ?? (verb === "patch" ? {} : example(bodySchema)), null, 2);
    body = el("textarea", { id: `${op.operationId}.body`, spellcheck: "false", rows: String(Math.min(Math.max(text.split("\n").length, 4), 20)) });
    body.value = text;
    form.append(el("div", { class: "row between" }, el("h4", {}, el("label", { for: body.id }, verb === "patch" ? "Body (only the fields to change)" : "Body"))), body);
  }
  const status = el("span", { class: "status", role: "status" });
  const send = el("button", { class: "go", type: "submit" }, "Send");
  const curl = el("pre", { tabindex: "0", role: "group", "aria-label": "The same with curl" });
  const copy = el("button", { class: "small", type: "button", onclick: async () => {
    await navigator.clipboard.writeText(curl.textContent);
    copy.textContent = "Copied";
    setTimeout(() => { copy.textContent = "Copy"; }, 1500);
  } }, "Copy");
  const out = el("pre", { tabindex: "0", role: "group", "aria-label": "Answer" });
  const result = el("div", { hidden: true },
    el("div", { class: "row between" }, el("h4", {}, "Answer")), out,
    el("div", { class: "row between" }, el("h4", {}, "The same with curl"), navigator.clipboard ? copy : undefined), curl);
  const say = (kind, text, at) => {
    status.className = `status ${kind}`;
    status.textContent = text;
    at?.focus();
  };
  form.append(el("div", { class: "row" }, send, status), result);

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    let url = path;
    const query = new URLSearchParams();
    for (const [p, input] of inputs) {
      const v = input.value.trim();
      if (p.in === "path") {
        if (!v) return say("bad", `${p.name} is needed`, input);
        url = url.replace(`{${p.name}}`, encodeURIComponent(v).replaceAll("'", "%27"));
      } else if (v) query.set(p.name, v);
    }
    if (query.size) url += `?${query}`;
    const init = { method: verb.toUpperCase(), headers: {} };
    if (body) {
      try { JSON.parse(body.value); } catch (e) { return say("bad", `The body is not JSON: ${e.message}`, body); }
      init.body = body.value;
      init.headers["Content-Type"] = "application/json";
    }
    curl.textContent = `curl ${verb === "get" ? "" : `-X ${init.method} `}-H "Authorization: Bearer $TOKEN" \\\n  '${location.origin}${url}'` +
      (body ? ` \\\n  -H 'Content-Type: application/json' -d '${body.value.replaceAll("'", "'\\''")}'` : "");
    say("", "Sending…");
    send.disabled = true;
    const start = performance.now();
    try {
      const r = await request(url, init);
      if (r.ok && r.headers.has("Content-Disposition")) {
        const name = /filename="(.*)"/.exec(r.headers.get("Content-Disposition"))?.[1] ?? "download";
        out.replaceChildren(el("a", { href: URL.createObjectURL(await r.blob()), download: name }, `Save ${name}`));
      } else {
        const text = await r.text();
        let shown = text;
        try { shown = JSON.stringify(JSON.parse(text), null, 2); } catch { /* not JSON: as it is */ }
        out.textContent = shown || "(empty)";
      }
      const hint = r.status === 401 && !token ? " – sign in or use an API token, at the top of the page" : "";
      say(r.ok ? "good" : "bad", `${r.status} ${r.statusText}, ${Math.round(performance.now() - start)} ms${hint}`);
      result.hidden = false;
    } catch {
      say("bad", "Gatehouse did not answer.");
    } finally {
      send.disabled = false;
    }
  });
  return form;
}

const roleName = (role) => (role ?? "").replace("ROLE_", "").replaceAll("_", " ").toLowerCase();

const person = (u) => el("li", {}, el("form", { method: "post", action: "/sign-in" },
  el("input", { type: "hidden", name: "user_name", value: u.id }),
  el("input", { type: "hidden", name: "return_to", value: "/reference" }),
  el("button", { type: "submit" }, u.displayName || u.userName, " ", el("span", { class: "quiet" }, [roleName(u.role), u.title].filter(Boolean).join(", ")))));

// people lists whom one may sign in as, with a filter where they are many.
function people(users) {
  const list = el("ul", { class: "people", "aria-label": "People" }, users.map(person));
  if (users.length <= 12) return [list];
  const filter = el("input", { type: "search", autocomplete: "off", oninput: () => {
    const wanted = filter.value.toLowerCase();
    for (const li of list.children) li.hidden = !li.textContent.toLowerCase().includes(wanted);
  } });
  return [el("form", { class: "line", onsubmit: (e) => e.preventDefault() }, el("label", {}, "Find a person", filter)), list];
}

function tokenForm() {
  const input = el("input", { type: "password", autocomplete: "off", spellcheck: "false" });
  const status = el("span", { class: "status bad", role: "status" });
  return el("form", { class: "line", onsubmit: async (e) => {
    e.preventDefault();
    token = input.value.trim();
    if (!token) return input.focus();
    try {
      await showWho();
    } catch (err) {
      token = "";
      status.textContent = err.status === 401 ? "This token is not valid." : "Gatehouse did not answer; please try again.";
    }
  } }, el("label", {}, "API token, kept until you leave this page", input), el("button", { type: "submit" }, "Use token"), status);
}

// showWho shows who is signed in. It throws if nobody is.
async function showWho() {
  const me = await getJSON("/v1/me");
  const out = token
    ? el("button", { type: "button", onclick: () => { token = ""; location.reload(); } }, "Forget token")
    : el("form", { method: "post", action: "/sign-out" }, el("button", { type: "submit" }, "Sign out"));
  document.getElementById("who").replaceChildren(
    el("span", {}, `${me.user.displayName} `, el("span", { class: "quiet" }, [roleName(me.user.role), me.organization?.name].filter(Boolean).join(" · "))), out);
  document.getElementById("sign-in")?.remove();
}

async function signIn(devSignIn) {
  try {
    return await showWho();
  } catch (e) {
    document.getElementById("who").replaceChildren(el("span", { class: "quiet" }, "Not signed in"));
    if (e.status !== 401) return el("p", { class: "notice", role: "alert" }, "Signing in is not possible at the moment; please reload in a while. The reference below is complete.");
  }
  const card = el("section", { class: "card", id: "sign-in", "aria-labelledby": "sign-in-title" }, el("h2", { id: "sign-in-title" }, "Sign in to try it"));
  if (devSignIn) {
    const users = (await getJSON("/v1/sessions:devPeople").catch(() => ({}))).users ?? [];
    card.append(
      el("p", {}, users.length
        ? "This is a development installation: sign in as anyone, without proof."
        : ["Nobody is here yet. ", el("a", { href: "#OrganizationService_SignUp" }, "Sign up"), " makes an organization with you as its first admin."]),
      ...(users.length ? people(users) : []), el("hr"));
  }
  if (!devSignIn) card.append(el("p", {}, el("a", { class: "button go", href: "/sign-in?return_to=/reference" }, "Sign in")), el("hr"));
  card.append(tokenForm());
  return card;
}

// openLinked opens the operation that the address names.
function openLinked() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!target?.matches(".op")) return;
  target.open = true;
  target.scrollIntoView();
}

// follow marks in the list of subjects the one that is on the screen.
function follow(nav, sections) {
  const links = new Map([...nav.querySelectorAll("a")].map((a) => [a.hash.slice(1), a]));
  const onScreen = new Set();
  const observer = new IntersectionObserver((entries) => {
    for (const e of entries) onScreen[e.isIntersecting ? "add" : "delete"](e.target);
    const first = sections.find((s) => onScreen.has(s));
    for (const [id, a] of links) {
      if (id === first?.dataset.group) a.setAttribute("aria-current", "true");
      else a.removeAttribute("aria-current");
    }
  }, { rootMargin: "-15% 0px -70% 0px" });
  for (const s of sections) observer.observe(s);
}

function search(input, root, none) {
  const apply = () => {
    const wanted = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    let hits = 0;
    for (const section of root.querySelectorAll("[data-group]")) {
      let any = false;
      for (const op of section.querySelectorAll(".op")) {
        op.hidden = !wanted.every((w) => op.dataset.text.includes(w));
        if (!op.hidden) { any = true; hits++; }
      }
      section.hidden = !any;
    }
    none.textContent = !wanted.length ? "" : hits ? `${hits} ${hits === 1 ? "operation" : "operations"} found` : "No operation has these words.";
  };
  input.addEventListener("input", apply);
  input.form.addEventListener("submit", (e) => {
    e.preventDefault();
    root.querySelector("[data-group]:not([hidden]) .op:not([hidden]) summary")?.focus();
  });
  document.addEventListener("keydown", (e) => {
    if (e.key !== "/" || e.ctrlKey || e.metaKey || e.altKey || e.target.closest?.("input, textarea, select")) return;
    e.preventDefault();
    input.focus();
  });
}

async function main() {
  const root = document.getElementById("main");
  const [page, openapi] = await Promise.all([getJSON("/reference/page.json"), getJSON("/openapi.json")]);
  doc = openapi;
  const services = new Map((doc.tags ?? []).map((t) => [t.name, { about: t.description, operations: [] }]));
  for (const [path, item] of Object.entries(doc.paths)) {
    for (const verb of verbs) {
      const op = item[verb];
      if (!op) continue;
      const tag = op.tags?.[0] ?? "Other";
      if (!services.has(tag)) services.set(tag, { about: "", operations: [] });
      services.get(tag).operations.push(operation(verb, path, op));
    }
  }
  const named = new Set(subjects.flatMap(([, names]) => names));
  const groups = [...subjects, ["More", [...services.keys()].filter((n) => !named.has(n))]]
    .map(([title, names]) => [title, names.filter((n) => services.get(n)?.operations.length)])
    .filter(([, names]) => names.length);
  const sections = groups.flatMap(([, names]) => names).map((name) => el("section", { "data-group": name, "aria-labelledby": name },
    el("h2", { id: name }, subjectName(name)),
    el("p", {}, afterName(services.get(name).about)),
    services.get(name).operations));
  const none = el("p", { class: "quiet", role: "status" });
  const failed = new URLSearchParams(location.search).get("sign-in") === "failed";
  root.replaceChildren(
    el("h1", {}, doc.info.title),
    el("p", { class: "lead" }, `${doc.info.summary ?? ""} `, el("a", { href: "/openapi.json" }, "OpenAPI document")),
    failed ? el("p", { class: "notice", role: "alert" }, "Signing in did not work. Please try again.") : "",
    el("div", { id: "door" }), none, ...sections);
  const nav = document.getElementById("nav");
  nav.replaceChildren(...groups.flatMap(([title, names]) => [
    el("h2", {}, title), el("ul", {}, names.map((n) => el("li", {}, el("a", { href: `#${n}` }, subjectName(n)))))]));
  search(document.getElementById("search"), root, none);
  follow(nav, sections);
  window.addEventListener("hashchange", openLinked);
  const card = await signIn(page.devSignIn);
  if (card) document.getElementById("door").append(card);
  openLinked();
}

main().catch((e) => {
  document.getElementById("main").replaceChildren(el("p", { class: "notice", role: "alert" }, `The page could not be loaded (${e.message}). Please reload to try again.`));
});
