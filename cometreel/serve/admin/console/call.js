// One call: what was asked, what answered it, and where nothing did, what was near and the exchange that is missing.

import { ask } from "./api.js";
import { button, byId, complain, element, pairs, speak } from "./elements.js";
import { outcomeOf } from "./journal.js";
import { pretty } from "./json.js";
import { timeOf } from "./rows.js";

export function showCall(call) {
  const outcome = outcomeOf(call);
  byId("panel-call").replaceChildren(
    element("h3", {}, [call.operation, call.owner_type, call.owner].filter(Boolean).join(" ") || `${call.method} ${call.target.split("?")[0]}`),
    element("p", { class: "wire" }, element("b", {}, call.method), " ", call.target),
    element("p", { class: "state" }, element("span", { class: `pill outcome ${outcome}` }, call.outcome), call.status === null ? "" : String(call.status)),
    pairs([
      ["call", `${call.number}, at ${timeOf(call.at)}`],
      ["session", String(call.session)],
      ["user", call.user],
      ["role", call.role],
      ["exchange", call.exchange],
    ]),
    ...bodyOf(call),
    ...(call.miss ? missOf(call) : []),
  );
  byId("panel-call").scrollTop = 0;
}

function bodyOf(call) {
  if (call.body === null) return [];
  return [element("h4", {}, call.method === "PUBLISH" ? "Data" : "Body"), pretty(call.body)];
}

function missOf(call) {
  const place = element("div", { class: "yaml" });
  const write = button("Write the missing exchange", () => writeExchange(call, place), { class: "primary", id: "write" });
  return [
    element("div", { class: "ends" }, write),
    place,
    element("h4", {}, call.miss.nearest.length ? "Nearest exchanges" : "Nothing in the scenario is near"),
    ...call.miss.nearest.map(nearOf),
  ];
}

function nearOf(near) {
  const rows = near.differs.map(({ where, expected, found }) =>
    element("tr", {}, element("th", { scope: "row" }, placeOf(where)), element("td", { class: "expected" }, expected), element("td", { class: "found" }, found)),
  );
  const head = element("tr", {}, element("td"), element("th", { scope: "col" }, "expected"), element("th", { scope: "col" }, "found"));
  return element(
    "article",
    { class: "near" },
    element("h5", {}, near.exchange),
    near.but ? element("p", { class: "but" }, `It matches, but ${near.but}.`) : null,
    rows.length ? element("table", {}, element("thead", {}, head), element("tbody", {}, ...rows)) : null,
    near.agreed.length ? element("p", { class: "agreed" }, "agreed: ", ...near.agreed.map((where) => element("code", {}, placeOf(where)))) : null,
  );
}

const placeOf = (where) => where.replace(/^\//, "").replaceAll("/", ".") || "kind of request";

async function writeExchange(call, place) {
  const { value, problems } = await ask("GET", `unmatched/${call.number}/exchange`);
  if (problems) {
    const problem = element("output", { class: "problem" });
    complain(problem, problems.join(" "));
    place.replaceChildren(problem);
    return;
  }
  const text = element("pre", { tabindex: "0", id: "exchange" }, value);
  const copy = button("Copy", () => copyText(value, text, copy), { id: "copy" });
  place.replaceChildren(
    element("div", { class: "ends" }, element("span", { class: "hint" }, "Paste it under exchanges: and complete its reply."), copy),
    text,
  );
  speak("The missing exchange is written below.");
}

// Where the browser lets no page use the clipboard, the text is selected instead.
async function copyText(text, block, pressed) {
  try {
    await navigator.clipboard.writeText(text);
    pressed.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(block);
    pressed.textContent = "Selected: copy it";
  }
  speak(pressed.textContent);
}
