// The console of a running replay: joins the stream of the server with what the page shows.

import { ask } from "./api.js";
import { showCall } from "./call.js";
import { byId, element } from "./elements.js";
import { showFaults, startFaults } from "./faults.js";
import { Filters } from "./filters.js";
import { showNumbers, showSettings, showState, startHead } from "./head.js";
import { Journal } from "./journal.js";
import { showSessions, showUnmatched, showUnplayed } from "./lists.js";
import { Live } from "./live.js";
import { aimAt, startPush } from "./push.js";
import { Rows } from "./rows.js";
import { openTab, startTabs } from "./tabs.js";

history.replaceState(null, "", location.pathname); // the token was shown; the cookie has it now

const live = new Live();
const journal = new Journal();
const rows = new Rows(journal, choose);
const filters = new Filters(journal, refilter);
const facts = { overview: null, sessions: [], unplayed: [] };
const unmatched = new Map(); // by number: they stay when the journal has let go of them
let held = null; // calls that came during a pause

// ------------------------------------------------------------------ the journal
function choose(call) {
  rows.select(call.number);
  showCall(call);
  openTab("call");
}

function take(call) {
  if (call.miss) unmatched.set(call.number, call);
  if (held) held.push(call);
  else rows.shift(journal.add(call));
  refresh();
}

function refilter() {
  journal.filter(filters.values);
  rows.renew();
  refresh();
}

function pause() {
  const calls = held;
  held = held ? null : [];
  for (const call of calls ?? []) rows.shift(journal.add(call));
  byId("pause").setAttribute("aria-pressed", held !== null);
  refresh();
}

function forget() {
  journal.clear();
  unmatched.clear();
  if (held) held = [];
  rows.renew();
  refresh();
}

// ------------------------------------------------------------------ drawing, once for each frame
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
  filters.renew();
  rows.draw();
  byId("count").textContent = shown.length === calls.length ? `${calls.length} ${calls.length === 1 ? "call" : "calls"}` : `${shown.length} of ${calls.length} calls`;
  byId("pause").textContent = held === null ? "Pause" : `Go on${held.length ? ` (${held.length} new)` : ""}`;
  byId("nothing").hidden = shown.length > 0;
  byId("nothing").textContent = calls.length ? "Nothing is left by these filters." : "Nothing was asked yet. Point your application at this server.";
  const missed = [...unmatched.values()];
  showUnmatched(missed, facts.overview?.unmatched ?? missed.length, choose);
  showSessions(facts.sessions, facts.overview?.sessions ?? 0, { filter: showCallsOf, push: pushTo });
  showUnplayed(facts.unplayed, facts.overview?.unplayed ?? 0);
}

function showCallsOf(session) {
  filters.choose("session", String(session));
  refilter();
  rows.follow();
}

function pushTo(session) {
  openTab("push");
  aimAt(session);
}

// ------------------------------------------------------------------ what the server tells
const suggest = (id, values) => byId(id).replaceChildren(...[...new Set(values)].map((value) => element("option", { value })));

function keep(name) {
  return (value) => {
    facts[name] = value;
    refresh();
  };
}

async function recall() {
  const { value } = await ask("GET", "unmatched");
  for (const call of value?.unmatched ?? []) if (!unmatched.has(call.number)) unmatched.set(call.number, call);
  refresh();
}

live.on("state", showState);
live.on("call", take);
live.on("run", forget);
live.on("settings", showSettings);
live.on("faults", showFaults);
live.on("exchanges", (names) => suggest("exchanges", names));
live.on("unplayed", keep("unplayed"));
live.on("overview", (overview) => {
  keep("overview")(overview);
  showNumbers(overview);
});
live.on("sessions", (sessions) => {
  keep("sessions")(sessions);
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

startHead(forget);
startTabs();
startPush();
startFaults();
showFaults([]);
refresh();
recall();
live.connect();
