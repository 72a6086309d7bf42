// Latencies of the filtered exchanges by operation and owner type, computed as in `latencies.py`.

const BOUNDS = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30];
const HEADINGS = ["Operation", "Owner type", "n", "ack p50", "p95", "max", "", "notified p50", "p95", "max", ""];

function percentile(sorted, share) {
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)];
}

function histogram(sorted) {
  const bars = new Array(BOUNDS.length + 1).fill(0);
  for (const seconds of sorted) bars[firstIndex(BOUNDS, (bound) => bound >= seconds)] += 1;
  return bars;
}

function latencyRows(shown) {
  const rows = new Map();
  for (const exchange of shown) {
    if (exchange.state === "removed") continue;
    const key = JSON.stringify([exchange.operation ?? "", exchange.ownerType ?? ""]);
    const row = rows.get(key) ?? {
      operation: exchange.operation ?? "",
      owner: exchange.ownerType ?? "",
      count: 0,
      ack: [],
      notifications: [],
    };
    row.count += 1;
    if (exchange.replyAt !== undefined) row.ack.push(exchange.replyAt - exchange.at);
    for (const one of exchange.notifications) row.notifications.push(one.at - exchange.at);
    rows.set(key, row);
  }
  const made = [...rows.values()];
  for (const row of made) for (const times of [row.ack, row.notifications]) times.sort((one, other) => one - other);
  const order = (one, other) => (one < other ? -1 : one > other ? 1 : 0);
  return made.sort((one, other) => order(one.operation, other.operation) || order(one.owner, other.owner));
}

function showLatencies(shown) {
  const head = element(
    "tr",
    {},
    ...HEADINGS.map((words, place) =>
      element("th", { scope: "col", class: place > 1 && words ? "amount" : "" }, words),
    ),
  );
  const rows = latencyRows(shown).map((row) => {
    const cells = [
      element("td", {}, row.operation),
      element("td", {}, row.owner || "–"),
      element("td", { class: "amount" }, String(row.count)),
      ...timeCells(row.ack, "ack"),
      ...timeCells(row.notifications, "notification"),
    ];
    const made = element("tr", { tabindex: "0" }, ...cells);
    const filter = () => {
      setFilter("operation", row.operation);
      setFilter("owner", row.owner);
      filterForm.dispatchEvent(new Event("change"));
    };
    made.addEventListener("click", filter);
    made.addEventListener("keydown", (event) => event.key === "Enter" && filter());
    return made;
  });
  byId("latencies").closest("section").hidden = rows.length === 0;
  byId("latencies").replaceChildren(element("thead", {}, head), element("tbody", {}, ...rows));
}

function timeCells(times, kind) {
  if (!times.length)
    return ["–", "–", "–"].map((dash) => element("td", { class: "amount" }, dash)).concat(element("td"));
  const numbers = [percentile(times, 0.5), percentile(times, 0.95), times[times.length - 1]];
  return [
    ...numbers.map((seconds) => element("td", { class: "amount" }, duration(seconds))),
    element("td", { class: kind }, barsOf(times)),
  ];
}

function barsOf(times) {
  const bars = histogram(times);
  const most = Math.max(...bars);
  const words = bars
    .map((bar, place) => (bar ? `${bar} ${place < BOUNDS.length ? `up to ${duration(BOUNDS[place])}` : "longer"}` : ""))
    .filter(Boolean);
  const svg = svgElement(
    "svg",
    { viewBox: "0 0 122 18", role: "img", "aria-label": words.join(", ") },
    svgElement("title", {}, words.join("\n")),
    svgElement("path", { class: "baseline", d: "M0 17.5H122" }),
  );
  bars.forEach((bar, place) => {
    const tall = bar ? Math.max(1.5, (bar / most) * 16) : 0;
    if (bar)
      svg.append(svgElement("rect", { class: "bar", x: place * 8 + 1, y: 17 - tall, width: 6.5, height: tall, rx: 1 }));
  });
  return svg;
}
