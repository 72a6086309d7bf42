// The page as a whole: says what it shows, joins the parts, and knows the keys.

const KEYS = [
  ["← →", "previous, next in time"],
  ["↑ ↓", "the session above, below"],
  ["Enter", "to the bodies of what is chosen"],
  ["Esc", "back, or choose nothing"],
  ["+ −", "zoom"],
  ["Shift ← →", "move through time"],
  ["0", "all of it"],
  ["/", "search"],
  ["t", "light or dark"],
  ["Ctrl wheel", "zoom at the pointer"],
  ["?", "this list"],
];

const COMPARED = [
  "The second conversation sets the time; polls are its own. The first is drawn below it, each exchange from the same request on.",
  "A latency counts as changed if it differs by more than a quarter and by more than 20 ms.",
];

function showFacts() {
  byId("filter-lane-name").textContent = LANE[0].toUpperCase() + LANE.slice(1);
  document.title = `${conversation.title} – Cometreel`;
  byId("title").textContent = conversation.title;
  const told = alone.length + exchanges.reduce((sum, exchange) => sum + exchange.told.length, 0);
  const facts = [
    conversation.subtitle,
    duration(conversation.seconds),
    plural(lanes.length, LANE),
    plural(exchanges.length, "exchange"),
    plural(told, "notification"),
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
  if (compared) remarks.unshift(...COMPARED.map((sentence) => element("li", {}, sentence)));
  byId("remarks").hidden = !remarks.length;
  byId("notes").replaceChildren(...remarks);
}

function filtersChanged() {
  const items = filtered();
  if (chosen && ![...items.exchanges, ...items.alone].some((item) => item.id === chosen)) pick(null);
  showItems(items);
  sumUp();
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
  byId("theme").addEventListener("click", otherTheme);
}

function otherTheme() {
  setTheme(document.documentElement.dataset.theme === "dark" ? "light" : "dark");
}

function showHelp() {
  byId("help").showModal();
}

function goBack() {
  if (document.activeElement !== stage && document.activeElement !== document.body) stage.focus();
  else pick(null);
}

const ANYWHERE = {
  "/": () => byId("filter-text").focus(),
  t: otherTheme,
  "?": showHelp,
  Escape: goBack,
  "+": () => zoom(0.5),
  "=": () => zoom(0.5),
  "-": () => zoom(2),
  0: showAll,
};
const IN_TIMELINE = {
  ArrowLeft: () => chooseNext(-1),
  ArrowRight: () => chooseNext(1),
  ArrowUp: () => chooseLane(-1),
  ArrowDown: () => chooseLane(1),
  "Shift ArrowLeft": () => pan(-0.3),
  "Shift ArrowRight": () => pan(0.3),
  Home: () => glideTo(bounds.start, view.span),
  End: () => glideTo(bounds.start + bounds.span - view.span, view.span),
  Enter: () => chosen && byId("details-title").focus(),
};

function pressed(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || byId("help").open) return;
  const writing = event.target.matches("input, select, textarea");
  if (writing && event.key !== "Escape") return;
  const name = event.shiftKey && event.key.startsWith("Arrow") ? `Shift ${event.key}` : event.key;
  const act =
    (event.target === stage || event.target === document.body ? IN_TIMELINE[name] : undefined) ?? ANYWHERE[name];
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
document.addEventListener("keydown", pressed);
view.width = viewport.clientWidth;
filtersChanged();
startOverview();
firstView();
pick(exchanges.find((exchange) => exchange.told.length) ?? exchanges[0] ?? null);
