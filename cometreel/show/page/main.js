// Starts the page: title and facts, theme, keys, and the connection of all parts.

const KEYS = [
  ["← →", "previous or next item"],
  ["↑ ↓", "session above or below"],
  ["Enter", "go to the bodies of the selected item"],
  ["Esc", "go back, or clear the selection"],
  ["+ −", "zoom"],
  ["Shift ← →", "scroll through time"],
  ["0", "show all"],
  ["/", "search"],
  ["t", "light or dark"],
  ["Ctrl wheel", "zoom at the pointer"],
  ["?", "this list"],
];

const COMPARISON_NOTES = [
  "Times and polls are those of the second file. The first one is drawn in grey, aligned at the start of each request.",
  "A latency counts as changed if it differs by more than a quarter and by more than 20 ms.",
];

function showFacts() {
  byId("filter-lane-name").textContent = LANE[0].toUpperCase() + LANE.slice(1);
  document.title = `${conversation.title} – Cometreel`;
  byId("title").textContent = conversation.title;
  const notifications =
    unsolicited.length + exchanges.reduce((sum, exchange) => sum + exchange.notifications.length, 0);
  const facts = [
    conversation.subtitle,
    duration(conversation.seconds),
    plural(lanes.length, LANE),
    plural(exchanges.length, "exchange"),
    plural(notifications, "notification"),
  ];
  if (polls.length) facts.push(plural(polls.length, "poll"));
  if (compared) {
    const states = ["same", "changed", "added", "removed"].map(
      (state) => `${exchanges.filter((one) => one.state === state).length} ${state}`,
    );
    facts.splice(
      0,
      facts.length,
      `before: ${conversation.compared.before}`,
      `now: ${conversation.compared.after}`,
      states.join(", "),
    );
  }
  byId("facts").textContent = facts.join("  ·  ");
  const remarks = [
    ...conversation.faults.map((fault) => element("li", { class: "warning" }, `! ${fault}`)),
    ...conversation.notes.map((note) => element("li", {}, note)),
  ];
  if (compared) remarks.unshift(...COMPARISON_NOTES.map((sentence) => element("li", {}, sentence)));
  byId("remarks").hidden = !remarks.length;
  byId("notes").replaceChildren(...remarks);
}

function filtersChanged() {
  const items = filtered();
  if (selected && ![...items.exchanges, ...items.unsolicited].some((item) => item.id === selected)) select(null);
  showItems(items);
  updateOverview();
  showLatencies(items.exchanges);
  byId("count").textContent =
    `${items.exchanges.length.toLocaleString("en")} of ${plural(exchanges.length, "exchange")}`;
}

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  byId("theme").setAttribute("aria-pressed", theme === "dark");
}

function startTheme() {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  setTheme(dark.matches ? "dark" : "light");
  dark.addEventListener("change", () => setTheme(dark.matches ? "dark" : "light"));
  byId("theme").addEventListener("click", toggleTheme);
}

function toggleTheme() {
  setTheme(document.documentElement.dataset.theme === "dark" ? "light" : "dark");
}

function showHelp() {
  byId("help").showModal();
}

function goBack() {
  if (document.activeElement !== timeline && document.activeElement !== document.body) timeline.focus();
  else select(null);
}

const ANYWHERE = {
  "/": () => byId("filter-text").focus(),
  t: toggleTheme,
  "?": showHelp,
  Escape: goBack,
  "+": () => zoom(0.5),
  "=": () => zoom(0.5),
  "-": () => zoom(2),
  0: showAll,
};
const IN_TIMELINE = {
  ArrowLeft: () => selectNext(-1),
  ArrowRight: () => selectNext(1),
  ArrowUp: () => selectLane(-1),
  ArrowDown: () => selectLane(1),
  "Shift ArrowLeft": () => pan(-0.3),
  "Shift ArrowRight": () => pan(0.3),
  Home: () => animateTo(bounds.start, view.span),
  End: () => animateTo(bounds.start + bounds.span - view.span, view.span),
  Enter: () => selected && byId("details-title").focus(),
};

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || byId("help").open) return;
  const writing = event.target.matches("input, select, textarea");
  if (writing && event.key !== "Escape") return;
  const name = event.shiftKey && event.key.startsWith("Arrow") ? `Shift ${event.key}` : event.key;
  const act =
    (event.target === timeline || event.target === document.body ? IN_TIMELINE[name] : undefined) ?? ANYWHERE[name];
  if (act) {
    event.preventDefault();
    act();
  }
}

startTheme();
showFacts();
drawLegend();
startFilters(filtersChanged);
startTimeline();
startDetails();
byId("keys").replaceChildren(...KEYS.flatMap(([key, words]) => [element("dt", {}, key), element("dd", {}, words)]));
byId("help-button").addEventListener("click", showHelp);
document.addEventListener("keydown", onKey);
view.width = viewport.clientWidth;
filtersChanged();
startOverview();
showFirst();
select(exchanges.find((exchange) => exchange.notifications.length) ?? exchanges[0] ?? null);
