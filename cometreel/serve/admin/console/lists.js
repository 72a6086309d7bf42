// The lists beside the journal: sessions with their clients, calls that nothing answered, exchanges nobody asked for.

import { button, byId, element } from "./elements.js";
import { timeOf, whoOf } from "./rows.js";

const MOST = 200; // what is in a list for people; the numbers above tell how many there are
const kept = new Map();

// Draws a list unless it is as it was, so that a hand or a screen reader in it isn't disturbed.
function redraw(panel, facts, draw) {
  const now = JSON.stringify(facts);
  if (kept.get(panel) === now) return;
  kept.set(panel, now);
  const place = byId(panel);
  const focused = place.contains(document.activeElement) ? document.activeElement.dataset.key : null;
  place.replaceChildren(...draw());
  if (focused) [...place.querySelectorAll("[data-key]")].find((each) => each.dataset.key === focused)?.focus();
}

const more = (all, shown) => (all > shown ? element("p", { class: "hint" }, `${shown} of ${all} are shown.`) : null);

export function showSessions(sessions, all, { filter, push }) {
  redraw("panel-sessions", [sessions, all], () => [
    sessions.length ? null : element("p", { class: "empty" }, "No session is live."),
    ...sessions.slice(-MOST).map((session) => card(session, filter, push)),
    more(all, Math.min(sessions.length, MOST)),
  ].filter(Boolean));
}

function card(session, filter, push) {
  const about = [session.role && `plays ${session.role}`, session.authenticated ? "logged in" : null, `since ${timeOf(session.started)}`];
  return element(
    "article",
    { class: "session" },
    element("h3", {}, `Session ${session.number}`, session.user ? element("span", { class: "user" }, session.user) : null),
    element("p", { class: "hint" }, about.filter(Boolean).join(" · ")),
    ...session.clients.map(client),
    session.waiting ? element("p", { class: "hint" }, `Waiting for its first client: ${session.waiting} ${session.waiting === 1 ? "notification" : "notifications"}.`) : null,
    element(
      "div",
      { class: "ends" },
      button("Its calls", () => filter(session.number), { "data-key": `calls ${session.number}` }),
      button("Push to it…", () => push(session.number), { "data-key": `push ${session.number}` }),
    ),
  );
}

function client(one) {
  const waits = one.waiting ? `, ${one.waiting} waiting` : "";
  return element(
    "div",
    { class: "client" },
    element("p", {}, element("i", { class: one.polls ? "dot held" : "dot", "aria-hidden": "true" }), `${one.transport}: ${one.polls ? "poll held" : "no poll held"}${waits}`, element("code", { class: "label" }, one.label)),
    element("p", { class: "channels" }, ...one.subscriptions.map((channel) => element("code", {}, channel))),
  );
}

export function showUnmatched(calls, all, choose) {
  const latest = calls.slice(-MOST).reverse();
  redraw("panel-unmatched", [latest.map((call) => call.number), all], () => [
    latest.length ? null : element("p", { class: "empty" }, "Everything that was asked was answered."),
    ...latest.map((call) => missed(call, choose)),
    more(all, latest.length),
  ].filter(Boolean));
}

function missed(call, choose) {
  const about = [call.operation, call.owner_type, call.owner].filter(Boolean).join(" ") || call.target;
  const [near] = call.miss.nearest;
  return element(
    "button",
    { class: "missed", type: "button", click: () => choose(call), "data-key": `call ${call.number}` },
    element("strong", {}, `${call.method} ${about}`),
    element("small", {}, `№ ${call.number} · ${timeOf(call.at)} · session ${whoOf(call)}`),
    near ? element("span", {}, `near: ${near.exchange}`, near.differs.length ? `, but for ${near.differs.length === 1 ? near.differs[0].where : `${near.differs.length} differences`}` : "") : element("span", {}, "nothing is near"),
  );
}

export function showUnplayed(names, all) {
  redraw("panel-unplayed", [names, all], () => [
    element("h3", {}, all ? "Nobody asked for these yet" : "Every exchange was played"),
    element("ol", { class: "names" }, ...names.slice(0, MOST).map((name) => element("li", {}, name))),
    more(all, Math.min(names.length, MOST)),
  ].filter(Boolean));
}
