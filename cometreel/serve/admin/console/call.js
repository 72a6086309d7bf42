// The details of one call: request, outcome, and for an unmatched request its near misses and the suggested exchange.

import { send } from "./api.js";
import { announce, button, byId, element, pairs, showProblem } from "./elements.js";
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
    ...(call.miss ? nearMissesOf(call) : []),
  );
  byId("panel-call").scrollTop = 0;
}

function bodyOf(call) {
  if (call.body === null) return [];
  return [element("h4", {}, call.method === "PUBLISH" ? "Data" : "Body"), pretty(call.body)];
}

function nearMissesOf(call) {
  const place = element("div", { class: "yaml" });
  const write = button("Suggest an exchange", () => writeExchange(call, place), { class: "primary", id: "write" });
  return [
    element("div", { class: "ends" }, write),
    place,
    element("h4", {}, call.miss.nearest.length ? "Closest exchanges" : "No exchange is similar"),
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
    near.agreed.length ? element("p", { class: "agreed" }, "matches: ", ...near.agreed.map((where) => element("code", {}, placeOf(where)))) : null,
  );
}

const placeOf = (where) => where.replace(/^\//, "").replaceAll("/", ".") || "kind of request";

async function writeExchange(call, place) {
  const { value, problems } = await send("GET", `unmatched/${call.number}/exchange`);
  if (problems) {
    const problem = element("output", { class: "problem" });
    showProblem(problem, problems.join(" "));
    place.replaceChildren(problem);
    return;
  }
  const text = element("pre", { tabindex: "0", id: "exchange" }, value);
  const copy = button("Copy", () => copyText(value, text, copy), { id: "copy" });
  place.replaceChildren(
    element("div", { class: "ends" }, element("span", { class: "hint" }, "Paste it under exchanges: and complete the reply."), copy),
    text,
  );
  announce("The suggested exchange is shown below.");
}

// Selects the text if the browser does not allow access to the clipboard.
async function copyText(text, block, copyButton) {
  try {
    await navigator.clipboard.writeText(text);
    copyButton.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(block);
    copyButton.textContent = "Selected: press Ctrl+C";
  }
  announce(copyButton.textContent);
}
