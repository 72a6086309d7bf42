// The console of a running replay: connects the event stream with the parts of the page.

import { send } from "./api.js";
import { showCall } from "./call.js";
import { byId, element } from "./elements.js";
import { showClock, startClock } from "./clock.js";
import { showFaults, startFaults } from "./faults.js";
import { Filters } from "./filters.js";
import { showNumbers, showSettings, showState, startHead } from "./head.js";
import { Journal } from "./journal.js";
import { showGivenUp, showSessions, showUnmatched, showUnplayed } from "./lists.js";
import { Live } from "./live.js";
import { pushToSession, startPush } from "./push.js";
import { Rows } from "./rows.js";
import { openTab, startTabs } from "./tabs.js";

history.replaceState(null, "", location.pathname); // remove the token; the cookie has it now

const live = new Live();
const journal = new Journal();
const rows = new Rows(journal, choose);
const filters = new Filters(journal, applyFilters);
const facts = { overview: null, sessions: [], unplayed: [], given_up: [] };
const unmatched = new Map(); // by number; kept when the journal drops them
let paused = null; // the calls received during a pause

// ------------------------------------------------------------------ the journal
function choose(call) {
  rows.select(call.number);
  showCall(call);
  openTab("call");
}

function addCall(call) {
  if (call.miss) unmatched.set(call.number, call);
  if (paused) paused.push(call);
  else rows.shift(journal.add(call));
  refresh();
}

function applyFilters() {
  journal.filter(filters.values);
  rows.redraw();
  refresh();
}

function pause() {
  const calls = paused;
  paused = paused ? null : [];
  for (const call of calls ?? []) rows.shift(journal.add(call));
  byId("pause").setAttribute("aria-pressed", paused !== null);
  refresh();
}

function clear() {
  journal.clear();
  unmatched.clear();
  if (paused) paused = [];
  rows.redraw();
  refresh();
}

// ------------------------------------------------------------------ drawing, once per frame
let waiting = false;

function refresh() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => {
    waiting = false;
    draw();
  });
}

function draw() {
  const { calls, shown } = journal;
  filters.updateOptions();
  rows.draw();
  byId("count").textContent = shown.length === calls.length ? `${calls.length} ${calls.length === 1 ? "call" : "calls"}` : `${shown.length} of ${calls.length} calls`;
  byId("pause").textContent = paused === null ? "Pause" : `Resume${paused.length ? ` (${paused.length} new)` : ""}`;
  byId("nothing").hidden = shown.length > 0;
  byId("nothing").textContent = calls.length ? "No call matches these filters." : "No requests yet. Point your application at this server.";
  const missed = [...unmatched.values()];
  showUnmatched(missed, facts.overview?.unmatched ?? missed.length, choose);
  showSessions(facts.sessions, facts.overview?.sessions ?? 0, page, { filter: showCallsOf, push: openPush, turn: turnPage });
  showGivenUp(facts.given_up, facts.overview?.given_up ?? 0);
  showUnplayed(facts.unplayed, facts.overview?.unplayed ?? 0);
}

function showCallsOf(session) {
  filters.choose("session", String(session));
  applyFilters();
  rows.follow();
}

// A page of all sessions, oldest first; null while the latest are shown.
let page = null;

async function turnPage(after) {
  page = after === null ? null : (await send("GET", `sessions?after=${after}&limit=200`)).value ?? null;
  refresh();
}

function openPush(session) {
  openTab("push");
  pushToSession(session);
}

// ------------------------------------------------------------------ events of the server
const suggest = (id, values) => byId(id).replaceChildren(...[...new Set(values)].map((value) => element("option", { value })));

function storeFact(name) {
  return (value) => {
    facts[name] = value;
    refresh();
  };
}

async function loadUnmatched() {
  const { value } = await send("GET", "unmatched");
  for (const call of value?.unmatched ?? []) if (!unmatched.has(call.number)) unmatched.set(call.number, call);
  refresh();
}

live.on("state", showState);
live.on("call", addCall);
live.on("run", clear);
live.on("settings", showSettings);
live.on("clock", showClock);
live.on("faults", showFaults);
live.on("exchanges", (names) => suggest("exchanges", names));
live.on("unplayed", storeFact("unplayed"));
live.on("given_up", storeFact("given_up"));
live.on("overview", (overview) => {
  storeFact("overview")(overview);
  showNumbers(overview);
});
live.on("sessions", (sessions) => {
  storeFact("sessions")(sessions);
  suggest("users", sessions.map((session) => session.user).filter(Boolean));
  const subscriptions = sessions.flatMap((session) => session.clients.flatMap((client) => client.subscriptions));
  suggest("channels", subscriptions.filter((channel) => !channel.includes("*")));
});

// ------------------------------------------------------------------ keys
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select, dialog")) return;
  const keys = { p: pause, t: () => byId("theme").click(), "/": () => byId("filter-text").focus() };
  if (!(event.key in keys)) return;
  event.preventDefault();
  keys[event.key]();
});
byId("pause").addEventListener("click", pause);

startHead(clear);
startClock();
startTabs();
startPush();
startFaults();
showFaults([]);
refresh();
loadUnmatched();
live.connect();
