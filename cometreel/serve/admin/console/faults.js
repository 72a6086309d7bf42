// Faults: add one with a form or as JSON, list active ones, remove them.

import { send } from "./api.js";
import { announce, button, byId, element, showProblem } from "./elements.js";
import { showProblems, wholeNumber } from "./forms.js";
import { jsonProblem } from "./json.js";

const META = ["/meta/handshake", "/meta/connect", "/meta/subscribe", "/meta/unsubscribe", "/meta/disconnect"];
// The actions with their fields and the kind of each value.
const ACTIONS = {
  status: { label: "reply with a status", fields: { status: "number", headers: "json?", body: "json?" } },
  delay: { label: "delay the reply", fields: { delay: "text" } },
  "drop-event": { label: "drop a notification", fields: { "drop-event": "which" }, exchange: true },
  "duplicate-event": { label: "send a notification twice", fields: { "duplicate-event": "which" }, exchange: true },
  disconnect: { label: "close the CometD session", fields: {} },
  broken: { label: "break the connection", fields: {} },
  error: { label: "refuse the message", fields: { error: "text", advice: "json?", ext: "json?" }, meta: true },
};
const LABELS = {
  status: ["Status", "503"],
  headers: ["Headers, as JSON", '{"Retry-After": "1"}'],
  body: ["Body, as JSON", "none"],
  delay: ["Delay", "2s"],
  "drop-event": ["Which", "all; or 2, or /v2/me/workbins"],
  "duplicate-event": ["Which", "all; or 2, or /v2/me/workbins"],
  error: ["Error", "403::denied"],
  advice: ["Advice, as JSON", '{"reconnect": "handshake"}'],
  ext: ["Ext, as JSON", "none"],
  channel: ["Subscription", "any"],
  as: ["Role", "any"],
  session: ["Session", "all"],
};
const FIELDS = ["exchange", "meta", "often", "json", ...Object.keys(LABELS)];

const valueOf = (name) => byId(`fault-${name}`)?.value.trim() ?? "";

export function startFaults() {
  const form = byId("fault-form");
  form.append(
    element("h3", {}, "Add a fault"),
    element("div", { class: "modes", role: "radiogroup", "aria-label": "Input" }, mode("form", "Form", true), mode("json", "JSON", false)),
    element("div", { id: "fault-fields" }, ...target(), frequency(), ...action(), element("div", { id: "fault-details", class: "grid" })),
    element("div", { id: "fault-raw", hidden: true }, field("json", element("textarea", { id: "fault-json", rows: 9, spellcheck: "false" }), "Same format as faults: in a scenario")),
    element("div", { class: "grid" }, input("session")),
    element("div", { class: "ends" }, element("button", { type: "submit", class: "primary" }, "Add fault"), element("output", { id: "fault-done", role: "status" })),
    element("output", { id: "fault-problem", class: "problem", hidden: true }),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    addFault();
  });
  form.addEventListener("change", (event) => changed(event.target));
  byId("fault-json").addEventListener("input", ({ target: area }) => showProblem(byId("fault-json-problem"), jsonProblem(area.value), area));
  redrawDetails();
}

// ------------------------------------------------------------------ the form
function mode(value, label, checked) {
  return element("label", {}, element("input", { type: "radio", name: "fault-mode", value, checked }), label);
}

function field(name, control, label) {
  control.setAttribute("aria-describedby", `fault-${name}-problem`);
  const problem = element("output", { id: `fault-${name}-problem`, class: "problem", hidden: true });
  return element("div", { class: "field" }, element("label", { for: `fault-${name}` }, label), control, problem);
}

function input(name) {
  const [label, placeholder] = LABELS[name];
  return field(name, element("input", { id: `fault-${name}`, placeholder, autocomplete: "off", spellcheck: "false" }), label);
}

const options = (entries) => entries.map(([value, label]) => element("option", { value }, label));

function target() {
  const select = element("select", { id: "fault-at" }, ...options([["exchange", "an exchange"], ["meta", "a Bayeux message"]]));
  return [
    element("label", { for: "fault-at" }, "Applies to"),
    select,
    element("div", { id: "fault-target" }, field("exchange", element("input", { id: "fault-exchange", list: "exchanges", placeholder: "name", autocomplete: "off", spellcheck: "false" }), "Exchange")),
  ];
}

function frequency() {
  const kinds = options([["", "every time"], ["nth", "only the nth time"], ["every", "every nth time"], ["rate", "at random, with a rate (0 to 1)"]]);
  const amount = element("input", { id: "fault-amount", inputmode: "decimal", size: 6, hidden: true, "aria-label": "How often", autocomplete: "off" });
  const created = field("often", element("select", { id: "fault-often" }, ...kinds), "When");
  const select = created.children[1];
  const pair = element("div", { class: "pair" });
  select.replaceWith(pair);
  pair.append(select, amount);
  return created;
}

function action() {
  return [element("label", { for: "fault-action" }, "Action"), element("select", { id: "fault-action" })];
}

function changed(control) {
  if (control.name === "fault-mode") return switchMode(control.value);
  if (control.id === "fault-at") showTarget(control.value);
  if (control.id === "fault-often") byId("fault-amount").hidden = !control.value;
  if (["fault-at", "fault-action", "fault-meta"].includes(control.id)) redrawDetails();
}

function showTarget(at) {
  const control = at === "exchange"
    ? element("input", { id: "fault-exchange", list: "exchanges", placeholder: "name", autocomplete: "off", spellcheck: "false" })
    : element("select", { id: "fault-meta" }, ...options(META.map((channel) => [channel, channel])));
  byId("fault-target").replaceChildren(field(at, control, at === "exchange" ? "Exchange" : "Message"));
}

function redrawDetails() {
  const at = valueOf("at");
  const applicable = Object.entries(ACTIONS).filter(([, one]) => (at === "exchange" ? !one.meta : !one.exchange));
  const chosen = valueOf("action");
  byId("fault-action").replaceChildren(...options(applicable.map(([name, { label }]) => [name, label])));
  if (applicable.some(([name]) => name === chosen)) byId("fault-action").value = chosen;
  const wanted = [...Object.keys(ACTIONS[valueOf("action")].fields), "as"];
  if (["/meta/subscribe", "/meta/unsubscribe"].includes(valueOf("meta"))) wanted.push("channel");
  byId("fault-details").replaceChildren(...wanted.map(input));
}

function switchMode(chosen) {
  const raw = chosen === "json";
  if (raw) byId("fault-json").value = JSON.stringify(faultInForm().fault, null, 2);
  byId("fault-raw").hidden = !raw;
  byId("fault-fields").hidden = raw;
  showProblem(byId("fault-json-problem"), "", byId("fault-json"));
}

// ------------------------------------------------------------------ the fault in the form
function faultInForm() {
  const problems = [];
  const at = valueOf("at");
  const fault = { [at]: valueOf(at) };
  if (valueOf("often")) fault[valueOf("often")] = Number(valueOf("amount") || NaN);
  if (Number.isNaN(fault[valueOf("often")])) problems.push("often: enter a number");
  for (const optional of ["channel", "as"]) if (valueOf(optional)) fault[optional] = valueOf(optional);
  const name = valueOf("action");
  const { fields } = ACTIONS[name];
  if (Object.keys(fields).length === 0) fault[name] = true;
  for (const [field, kind] of Object.entries(fields)) read(fault, field, kind, problems);
  return { fault, problems };
}

function read(fault, field, kind, problems) {
  const text = valueOf(field);
  if (kind === "json?") {
    if (!text) return;
    if (jsonProblem(text)) problems.push(`${field}: ${jsonProblem(text)}`);
    else fault[field] = JSON.parse(text);
  } else if (kind === "which") fault[field] = text === "" || text === "all" ? true : (wholeNumber(text) ?? text);
  else if (!text) problems.push(`${field}: enter a value`);
  else fault[field] = kind === "number" ? (wholeNumber(text) ?? text) : text;
}

function faultToAdd() {
  if (document.querySelector("[name=fault-mode]:checked").value === "form") return faultInForm();
  const wrong = jsonProblem(valueOf("json"));
  return wrong ? { problems: [`json: ${wrong}`] } : { fault: JSON.parse(valueOf("json")), problems: [] };
}

async function addFault() {
  const { fault, problems } = faultToAdd();
  const session = valueOf("session");
  if (session && wholeNumber(session) === null) problems.push("session: enter the number of a session");
  byId("fault-done").textContent = "";
  showProblems("fault", FIELDS, problems, "fault-problem");
  if (problems.length) return;
  const answer = await send("POST", `faults${session ? `?session=${session}` : ""}`, fault);
  showProblems("fault", FIELDS, (answer.problems ?? []).map(atForm), "fault-problem");
  if (answer.value) byId("fault-done").textContent = `Fault ${answer.value.number} is active.`;
}

// The form has one field for nth, every and rate; the JSON mode has one field for everything.
function atForm(text) {
  const raw = byId("fault-fields").hidden;
  return raw ? text.replace(/^fault: /, "json: ") : text.replace(/^fault: (nth|every|rate): /, "often: ");
}

// ------------------------------------------------------------------ active faults
export function showFaults(faults) {
  byId("badge-faults").textContent = faults.length || "";
  byId("faults").replaceChildren(...faults.map(faultItem));
  if (faults.length === 0) byId("faults").append(element("li", { class: "empty" }, "None."));
}

function faultItem({ number, fault, session, position }) {
  const { exchange, meta, ...rest } = fault;
  const where = [session ? `session ${session} only` : null, position ? `from ${position.split("/").pop()}` : "added here"];
  const names = [exchange ?? meta].flat().join(", ");
  return element(
    "li",
    { class: "fault" },
    element("div", {}, element("strong", {}, names), element("code", {}, Object.entries(rest).map(([key, value]) => `${key}: ${JSON.stringify(value)}`).join(", ")), element("small", {}, where.filter(Boolean).join(" · "))),
    button("Remove", () => removeFault(number), { "aria-label": `Remove fault ${number}: ${names}` }),
  );
}

async function removeFault(number) {
  const { problems } = await send("DELETE", `faults/${number}`);
  showProblem(byId("fault-problem"), (problems ?? []).join("\n"));
  if (!problems) announce(`Fault ${number} was removed.`);
}
