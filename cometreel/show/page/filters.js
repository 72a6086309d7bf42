// Filters: selects the items to show. The form holds the state; `changed` is called when it changes.

const filterForm = byId("filters");
const FILTERS = {
  text: "filter-text",
  operation: "filter-operation",
  owner: "filter-owner",
  lane: "filter-lane",
  channel: "filter-channel",
  state: "filter-state",
};

function startFilters(changed) {
  const notifications = [...exchanges.flatMap((exchange) => exchange.notifications), ...unsolicited];
  fillSelect(
    "operation",
    exchanges.map((exchange) => exchange.operation ?? ""),
  );
  fillSelect(
    "owner",
    exchanges.map((exchange) => exchange.ownerType ?? ""),
    "none",
  );
  fillSelect(
    "channel",
    notifications.map((one) => one.channel),
  );
  fillSelect(
    "lane",
    lanes.map((_, number) => String(number)),
    "",
    (number) => laneLabel(lanes[number]),
    false,
  );
  if (compared) {
    fillSelect(
      "state",
      exchanges.map((exchange) => exchange.state),
    );
    byId("filter-state-label").hidden = false;
  }
  byId(FILTERS.text).addEventListener("input", changed);
  filterForm.addEventListener("change", changed);
  filterForm.addEventListener("submit", (event) => event.preventDefault());
  filterForm.addEventListener("reset", () => setTimeout(changed));
}

function fillSelect(name, values, whenEmpty = "", words = (value) => value, sorted = true) {
  const select = byId(FILTERS[name]);
  const distinct = [...new Set(values)];
  if (sorted) distinct.sort();
  select.append(element("option", { value: "*" }, "all"));
  for (const value of distinct) {
    if (value !== "" || whenEmpty) select.append(element("option", { value: `=${value}` }, words(value) || whenEmpty));
  }
  select.disabled = distinct.length < (name === "channel" ? 1 : 2); // one channel still separates exchanges with and without notifications
}

function laneLabel(lane) {
  return lane.detail ? `${lane.name} (${lane.detail})` : lane.name;
}

function setFilter(name, value) {
  byId(FILTERS[name]).value = `=${value}`;
}

function filtered() {
  const active = {};
  for (const [name, id] of Object.entries(FILTERS)) {
    const field = byId(id);
    const value = name === "text" ? field.value.trim().toLowerCase() : field.value;
    active[name] = value === "*" || value === "" ? null : name === "text" ? value : value.slice(1);
    field.classList.toggle("used", active[name] !== null);
  }
  const onLane = (item) => active.lane === null || item.lane === Number(active.lane);
  const byExchange = active.operation !== null || active.owner !== null;
  return {
    exchanges: exchanges.filter((exchange) => onLane(exchange) && exchangeMatches(exchange, active)),
    unsolicited: unsolicited.filter((one) => onLane(one) && !byExchange && unsolicitedMatches(one, active)),
    polls: polls.filter(onLane),
    sockets: sockets.filter(onLane),
    metaMessages: metaMessages.filter(onLane),
  };
}

function exchangeMatches(exchange, active) {
  return (
    (active.operation === null || (exchange.operation ?? "") === active.operation) &&
    (active.owner === null || (exchange.ownerType ?? "") === active.owner) &&
    (active.state === null || exchange.state === active.state) &&
    (active.channel === null || exchange.notifications.some((one) => one.channel === active.channel)) &&
    (active.text === null || searchable(exchange).includes(active.text))
  );
}

function unsolicitedMatches(one, active) {
  return (
    (active.state === null || one.state === active.state) &&
    (active.channel === null || one.channel === active.channel) &&
    (active.text === null || searchable(one).includes(active.text))
  );
}
