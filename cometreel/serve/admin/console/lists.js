// The lists next to the journal: sessions with their clients, unmatched requests, unplayed exchanges, notifications
// that no client gets.

import { button, byId, element } from "./elements.js";
import { timeOf, sessionLabel } from "./rows.js";

const MAX_ITEMS = 200; // in each list; the head of the page shows the totals
const drawn = new Map();

// Draws a list only if it has changed, so that focus and screen readers keep their position.
function redraw(panel, facts, draw) {
  const now = JSON.stringify(facts);
  if (drawn.get(panel) === now) return;
  drawn.set(panel, now);
  const place = byId(panel);
  const focused = place.contains(document.activeElement) ? document.activeElement.dataset.key : null;
  place.replaceChildren(...draw());
  if (focused) [...place.querySelectorAll("[data-key]")].find((each) => each.dataset.key === focused)?.focus();
}

const more = (all, shown) => (all > shown ? element("p", { class: "hint" }, `${shown} of ${all} are shown.`) : null);

// Draws the latest sessions, or one page of all sessions; `turn` gets the number after which a page begins, null for the latest.
export function showSessions(sessions, all, page, { filter, push, turn }) {
  const shown = page ? page.sessions : sessions.slice(-MAX_ITEMS);
  redraw("panel-sessions", [shown, all, page?.next], () => [
    shown.length ? null : element("p", { class: "empty" }, "There are no sessions."),
    ...shown.map((session) => card(session, filter, push)),
    more(all, shown.length),
    element(
      "div",
      { class: "ends" },
      ...(!page && all > shown.length ? [button("List all", () => turn(0), { "data-key": "first page" })] : []),
      ...(page?.next ? [button("Next", () => turn(page.next), { "data-key": "next page" })] : []),
      ...(page ? [button("Latest", () => turn(null), { "data-key": "latest" })] : []),
    ),
  ].filter(Boolean));
}

function card(session, filter, push) {
  const about = [session.kind === "full" ? null : session.kind, session.role && `role ${session.role}`, session.authenticated ? "logged in" : null, `since ${timeOf(session.started)}`];
  return element(
    "article",
    { class: "session" },
    element("h3", {}, `Session ${session.number}`, session.user ? element("span", { class: "user" }, session.user) : null),
    element("p", { class: "hint" }, about.filter(Boolean).join(" · ")),
    ...session.clients.map(client),
    session.waiting ? element("p", { class: "hint" }, `Waiting for the first client: ${session.waiting} ${session.waiting === 1 ? "notification" : "notifications"}.`) : null,
    element(
      "div",
      { class: "ends" },
      button("Show calls", () => filter(session.number), { "data-key": `calls ${session.number}` }),
      button("Push…", () => push(session.number), { "data-key": `push ${session.number}` }),
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
  const latest = calls.slice(-MAX_ITEMS).reverse();
  redraw("panel-unmatched", [latest.map((call) => call.number), all], () => [
    latest.length ? null : element("p", { class: "empty" }, "All requests were answered."),
    ...latest.map((call) => unmatchedItem(call, choose)),
    more(all, latest.length),
  ].filter(Boolean));
}

function unmatchedItem(call, choose) {
  const about = [call.operation, call.owner_type, call.owner].filter(Boolean).join(" ") || call.target;
  const [near] = call.miss.nearest;
  return element(
    "button",
    { class: "missed", type: "button", click: () => choose(call), "data-key": `call ${call.number}` },
    element("strong", {}, `${call.method} ${about}`),
    element("small", {}, `№ ${call.number} · ${timeOf(call.at)} · session ${sessionLabel(call)}`),
    near ? element("span", {}, `closest: ${near.exchange}`, near.differs.length ? `, differs in ${near.differs.length === 1 ? near.differs[0].where : `${near.differs.length} differences`}` : "") : element("span", {}, "no exchange is similar"),
  );
}

export function showGivenUp(events, all) {
  const latest = events.slice(-MAX_ITEMS).reverse();
  redraw("panel-given_up", [latest, all], () => [
    latest.length ? null : element("p", { class: "empty" }, "No notification was given up."),
    ...latest.map(givenUpItem),
    more(all, latest.length),
  ].filter(Boolean));
}

function givenUpItem(event) {
  const cause = event.exchange ?? (event.entry ? `timeline entry ${event.entry}` : event.call ? `the responder of call ${event.call}` : "a push");
  const about = [timeOf(event.at), `session ${event.session}`, event.call && `call ${event.call}`].filter(Boolean).join(" · ");
  return element(
    "article",
    { class: "session" },
    element("h3", {}, `${event.channel}: ${event.reason}`),
    element("p", { class: "hint" }, `${cause} · ${about}`),
    element("p", {}, event.remedy),
  );
}

export function showUnplayed(names, all) {
  redraw("panel-unplayed", [names, all], () => [
    element("h3", {}, all ? "Not played yet" : "All exchanges were played"),
    element("ol", { class: "names" }, ...names.slice(0, MAX_ITEMS).map((name) => element("li", {}, name))),
    more(all, Math.min(names.length, MAX_ITEMS)),
  ].filter(Boolean));
}
