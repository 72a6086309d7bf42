// Faults: one is armed by a form, or as it stands in a scenario; those in force are listed and lifted.

import { ask } from "./api.js";
import { button, byId, complain, element, speak } from "./elements.js";
import { showProblems, wholeNumber } from "./forms.js";
import { jsonProblem } from "./json.js";

const META = ["/meta/handshake", "/meta/connect", "/meta/subscribe", "/meta/unsubscribe", "/meta/disconnect"];
// What can be done, what of it is wanted, and how that is read.
const ACTIONS = {
  status: { says: "answer with a status", fields: { status: "number", headers: "json?", body: "json?" } },
  delay: { says: "answer late", fields: { delay: "text" } },
  "drop-event": { says: "drop a notification", fields: { "drop-event": "which" }, exchange: true },
  "duplicate-event": { says: "send a notification twice", fields: { "duplicate-event": "which" }, exchange: true },
  disconnect: { says: "end the CometD session", fields: {} },
  broken: { says: "break the connection", fields: {} },
  error: { says: "refuse the message", fields: { error: "text", advice: "json?", ext: "json?" }, meta: true },
};
const LABELS = {
  status: ["Status", "503"],
  headers: ["Headers, as JSON", '{"Retry-After": "1"}'],
  body: ["Body, as JSON", "none"],
  delay: ["Late by", "2s"],
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
    element("h3", {}, "Arm a fault"),
    element("div", { class: "modes", role: "radiogroup", "aria-label": "Written as" }, mode("form", "Form", true), mode("json", "JSON", false)),
    element("div", { id: "fault-fields" }, ...target(), often(), ...action(), element("div", { id: "fault-details", class: "grid" })),
    element("div", { id: "fault-raw", hidden: true }, field("json", element("textarea", { id: "fault-json", rows: 9, spellcheck: "false" }), "As under faults: in a scenario")),
    element("div", { class: "grid" }, input("session")),
    element("div", { class: "ends" }, element("button", { type: "submit", class: "primary" }, "Arm"), element("output", { id: "fault-done", role: "status" })),
    element("output", { id: "fault-problem", class: "problem", hidden: true }),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    arm();
  });
  form.addEventListener("change", (event) => changed(event.target));
  byId("fault-json").addEventListener("input", ({ target: area }) => complain(byId("fault-json-problem"), jsonProblem(area.value), area));
  redrawDetails();
}

// ------------------------------------------------------------------ the form
function mode(value, says, checked) {
  return element("label", {}, element("input", { type: "radio", name: "fault-mode", value, checked }), says);
}

function field(name, control, says) {
  control.setAttribute("aria-describedby", `fault-${name}-problem`);
  const problem = element("output", { id: `fault-${name}-problem`, class: "problem", hidden: true });
  return element("div", { class: "field" }, element("label", { for: `fault-${name}` }, says), control, problem);
}

function input(name) {
  const [says, placeholder] = LABELS[name];
  return field(name, element("input", { id: `fault-${name}`, placeholder, autocomplete: "off", spellcheck: "false" }), says);
}

const options = (entries) => entries.map(([value, says]) => element("option", { value }, says));

function target() {
  const select = element("select", { id: "fault-at" }, ...options([["exchange", "an exchange"], ["meta", "a Bayeux message"]]));
  return [
    element("label", { for: "fault-at" }, "Aimed at"),
    select,
    element("div", { id: "fault-target" }, field("exchange", element("input", { id: "fault-exchange", list: "exchanges", placeholder: "its name", autocomplete: "off", spellcheck: "false" }), "Exchange")),
  ];
}

function often() {
  const kinds = options([["", "every time"], ["nth", "only the n-th time"], ["every", "each n-th time"], ["rate", "at random, this share (0 to 1)"]]);
  const amount = element("input", { id: "fault-amount", inputmode: "decimal", size: 6, hidden: true, "aria-label": "How often", autocomplete: "off" });
  const made = field("often", element("select", { id: "fault-often" }, ...kinds), "When");
  const select = made.children[1];
  const pair = element("div", { class: "pair" });
  select.replaceWith(pair);
  pair.append(select, amount);
  return made;
}

function action() {
  return [element("label", { for: "fault-action" }, "What happens"), element("select", { id: "fault-action" })];
}

function changed(control) {
  if (control.name === "fault-mode") return switchMode(control.value);
  if (control.id === "fault-at") retarget(control.value);
  if (control.id === "fault-often") byId("fault-amount").hidden = !control.value;
  if (["fault-at", "fault-action", "fault-meta"].includes(control.id)) redrawDetails();
}

function retarget(at) {
  const control = at === "exchange"
    ? element("input", { id: "fault-exchange", list: "exchanges", placeholder: "its name", autocomplete: "off", spellcheck: "false" })
    : element("select", { id: "fault-meta" }, ...options(META.map((channel) => [channel, channel])));
  byId("fault-target").replaceChildren(field(at, control, at === "exchange" ? "Exchange" : "Message"));
}

function redrawDetails() {
  const at = valueOf("at");
  const fitting = Object.entries(ACTIONS).filter(([, one]) => (at === "exchange" ? !one.meta : !one.exchange));
  const chosen = valueOf("action");
  byId("fault-action").replaceChildren(...options(fitting.map(([name, { says }]) => [name, says])));
  if (fitting.some(([name]) => name === chosen)) byId("fault-action").value = chosen;
  const wanted = [...Object.keys(ACTIONS[valueOf("action")].fields), "as"];
  if (["/meta/subscribe", "/meta/unsubscribe"].includes(valueOf("meta"))) wanted.push("channel");
  byId("fault-details").replaceChildren(...wanted.map(input));
}

function switchMode(chosen) {
  const raw = chosen === "json";
  if (raw) byId("fault-json").value = JSON.stringify(written().fault, null, 2);
  byId("fault-raw").hidden = !raw;
  byId("fault-fields").hidden = raw;
  complain(byId("fault-json-problem"), "", byId("fault-json"));
}

// ------------------------------------------------------------------ what is armed
function written() {
  const problems = [];
  const at = valueOf("at");
  const fault = { [at]: valueOf(at) };
  if (valueOf("often")) fault[valueOf("often")] = Number(valueOf("amount") || NaN);
  if (Number.isNaN(fault[valueOf("often")])) problems.push("often: A number is wanted.");
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
  else if (!text) problems.push(`${field}: It is wanted.`);
  else fault[field] = kind === "number" ? (wholeNumber(text) ?? text) : text;
}

function asked() {
  if (document.querySelector("[name=fault-mode]:checked").value === "form") return written();
  const wrong = jsonProblem(valueOf("json"));
  return wrong ? { problems: [`json: ${wrong}`] } : { fault: JSON.parse(valueOf("json")), problems: [] };
}

async function arm() {
  const { fault, problems } = asked();
  const session = valueOf("session");
  if (session && wholeNumber(session) === null) problems.push("session: The number of a session is wanted.");
  byId("fault-done").textContent = "";
  showProblems("fault", FIELDS, problems, "fault-problem");
  if (problems.length) return;
  const answer = await ask("POST", `faults${session ? `?session=${session}` : ""}`, fault);
  showProblems("fault", FIELDS, (answer.problems ?? []).map(atForm), "fault-problem");
  if (answer.value) byId("fault-done").textContent = `Fault ${answer.value.number} is in force.`;
}

// The form has one field for the three ways to say how often, and JSON has one for all.
function atForm(text) {
  const raw = byId("fault-fields").hidden;
  return raw ? text.replace(/^fault: /, "json: ") : text.replace(/^fault: (nth|every|rate): /, "often: ");
}

// ------------------------------------------------------------------ those in force
export function showFaults(faults) {
  byId("badge-faults").textContent = faults.length || "";
  byId("faults").replaceChildren(...faults.map(faultItem));
  if (faults.length === 0) byId("faults").append(element("li", { class: "empty" }, "None."));
}

function faultItem({ number, fault, session, position }) {
  const { exchange, meta, ...rest } = fault;
  const where = [session ? `session ${session} only` : null, position ? `from ${position.split("/").pop()}` : "armed here"];
  const names = [exchange ?? meta].flat().join(", ");
  return element(
    "li",
    { class: "fault" },
    element("div", {}, element("strong", {}, names), element("code", {}, Object.entries(rest).map(([key, value]) => `${key}: ${JSON.stringify(value)}`).join(", ")), element("small", {}, where.filter(Boolean).join(" · "))),
    button("Lift", () => lift(number), { "aria-label": `Lift fault ${number}: ${names}` }),
  );
}

async function lift(number) {
  const { problems } = await ask("DELETE", `faults/${number}`);
  complain(byId("fault-problem"), (problems ?? []).join("\n"));
  if (!problems) speak(`Fault ${number} is lifted.`);
}
