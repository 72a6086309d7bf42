// Filters: which items are left. The state lives in the form itself; whoever listens is told when it changes.

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
  const told = [...exchanges.flatMap((exchange) => exchange.told), ...alone];
  choices(
    "operation",
    exchanges.map((exchange) => exchange.operation ?? ""),
  );
  choices(
    "owner",
    exchanges.map((exchange) => exchange.ownerType ?? ""),
    "none",
  );
  choices(
    "channel",
    told.map((one) => one.channel),
  );
  choices(
    "lane",
    lanes.map((_, number) => String(number)),
    "",
    (number) => laneWords(lanes[number]),
    false,
  );
  if (compared) {
    choices(
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

function choices(name, values, whenEmpty = "", words = (value) => value, sorted = true) {
  const select = byId(FILTERS[name]);
  const distinct = [...new Set(values)];
  if (sorted) distinct.sort();
  select.append(element("option", { value: "*" }, "all"));
  for (const value of distinct) {
    if (value !== "" || whenEmpty) select.append(element("option", { value: `=${value}` }, words(value) || whenEmpty));
  }
  select.disabled = distinct.length < (name === "channel" ? 1 : 2); // one channel tells those told from those not
}

function laneWords(lane) {
  return lane.detail ? `${lane.name} (${lane.detail})` : lane.name;
}

function choose(name, value) {
  byId(FILTERS[name]).value = `=${value}`;
}

function filtered() {
  const chosen = {};
  for (const [name, id] of Object.entries(FILTERS)) {
    const field = byId(id);
    const value = name === "text" ? field.value.trim().toLowerCase() : field.value;
    chosen[name] = value === "*" || value === "" ? null : name === "text" ? value : value.slice(1);
    field.classList.toggle("used", chosen[name] !== null);
  }
  const onLane = (item) => chosen.lane === null || item.lane === Number(chosen.lane);
  const ofAnExchange = chosen.operation !== null || chosen.owner !== null;
  return {
    exchanges: exchanges.filter((exchange) => onLane(exchange) && isLeft(exchange, chosen)),
    alone: alone.filter((one) => onLane(one) && !ofAnExchange && aloneIsLeft(one, chosen)),
    polls: polls.filter(onLane),
    sockets: sockets.filter(onLane),
    steps: steps.filter(onLane),
  };
}

function isLeft(exchange, chosen) {
  return (
    (chosen.operation === null || (exchange.operation ?? "") === chosen.operation) &&
    (chosen.owner === null || (exchange.ownerType ?? "") === chosen.owner) &&
    (chosen.state === null || exchange.state === chosen.state) &&
    (chosen.channel === null || exchange.told.some((one) => one.channel === chosen.channel)) &&
    (chosen.text === null || searchable(exchange).includes(chosen.text))
  );
}

function aloneIsLeft(one, chosen) {
  return (
    (chosen.state === null || one.state === chosen.state) &&
    (chosen.channel === null || one.channel === chosen.channel) &&
    (chosen.text === null || searchable(one).includes(chosen.text))
  );
}
