// Drawing: one item as SVG, given where it stands. Nothing here knows what is in view.

const DIAMOND = 5;

function diamond(x, y, size, attributes) {
  return drawn("path", { d: `M${x} ${y - size}l${size} ${size}l${-size} ${size}l${-size} ${-size}z`, ...attributes });
}

function itemAttributes(item, words) {
  item.spoken ??= spokenName(item);
  return {
    id: item.id,
    "data-item": item.id,
    class: `item ${words}`,
    role: "option",
    "aria-label": item.spoken,
    "aria-selected": "false",
  };
}

function grouped(item, words, ...children) {
  return drawn("g", itemAttributes(item, words), ...children);
}

function methodOf(exchange) {
  if (exchange.method === "PUBLISH") return "publish";
  return exchange.method === "GET" || exchange.method === "HEAD" ? "get" : "post";
}

function classesOf(exchange) {
  const failed = exchange.faults.some((fault) => fault.startsWith("answered ")) ? "failed" : "";
  const silent = exchange.replyAt === undefined ? "silent" : "";
  return ["exchange", methodOf(exchange), failed, silent, exchange.state ?? ""].filter(Boolean).join(" ");
}

// `scale.x` turns seconds into pixels, `y` is the top of its row, `until` the pixel where the next item begins.
function drawExchange(exchange, y, scale, until) {
  const from = scale.x(exchange.at);
  const least = exchange.replyAt === undefined ? 16 : 3;
  const to = Math.max(from + least, scale.x(exchange.replyAt ?? exchange.at));
  const labelAt = to + 6 + (exchange.faults.length ? 14 : 0) + (hasSign(exchange) ? 12 : 0);
  const label = shortened(exchange.name, until - labelAt - 8, labelWidth);
  const right = label ? labelAt + labelWidth(label) : Math.max(to, labelAt - 6);
  const hit = drawn("rect", { class: "hit", x: from - 3, y: y + 1, width: right - from + 6, height: ROW - 2, rx: 4 });
  const bar = drawn("rect", { class: "bar", x: from, y: y + 5, width: to - from, height: 9, rx: 2.5 });
  const text = label ? drawn("text", { class: "label", x: labelAt, y: y + 13.5 }, label) : null;
  return grouped(
    exchange,
    classesOf(exchange),
    hit,
    bar,
    ...ghostOf(exchange, y, scale),
    faultSign(exchange, to, y),
    stateSign(exchange, labelAt, y),
    text,
  );
}

function ghostOf(exchange, y, scale) {
  if (!exchange.before) return [];
  const from = scale.x(exchange.at);
  const to = Math.max(from + 3, scale.x(exchange.before.replyAt ?? exchange.at));
  return [drawn("rect", { class: "ghost", x: from, y: y + 14.5, width: to - from, height: 3, rx: 1.5 })];
}

function faultSign(exchange, x, y) {
  if (!exchange.faults.length) return null;
  const middle = x + 10;
  return drawn(
    "g",
    {},
    drawn("circle", { class: "fault", cx: middle, cy: y + 9.5, r: 6 }),
    drawn("text", { class: "fault-sign", x: middle, y: y + 12.7 }, "!"),
  );
}

function hasSign(exchange) {
  return compared && exchange.state !== "same";
}

function stateSign(exchange, labelAt, y) {
  if (!hasSign(exchange)) return null;
  const sign = { added: "+", removed: "−", changed: "≠" }[exchange.state];
  return drawn("text", { class: "sign", x: labelAt - 8, y: y + 14 }, sign);
}

// From the moment of the request down to the moment of the notification.
function drawArrow(exchange, told, fromY, toY, scale) {
  const from = scale.x(exchange.at) + 1;
  const to = scale.x(told.at);
  const bend = Math.max(8, (toY - fromY) * 0.55);
  const d = `M${from} ${fromY}C${from} ${fromY + bend} ${to} ${toY - bend} ${to} ${toY - DIAMOND - 1}`;
  return drawn("path", { class: `arrow${told.early ? " early" : ""}`, d, "data-item": exchange.id });
}

function drawTold(exchange, told, y, scale) {
  const x = scale.x(told.at);
  const attributes = {
    class: `item told${told.early ? " early" : ""}`,
    "data-item": exchange.id,
    "data-told": exchange.told.indexOf(told),
  };
  return diamond(x, y, told.early ? DIAMOND - 0.5 : DIAMOND, attributes);
}

// Where the notification was in the conversation before, and how far it has moved.
function drawToldBefore(at, now, y, scale) {
  const moved = now && Math.abs(scale.x(now.at) - scale.x(at)) > 2 * DIAMOND;
  const line = moved ? [drawn("path", { class: "ghost-line", d: `M${scale.x(at)} ${y}H${scale.x(now.at)}` })] : [];
  return [...line, diamond(scale.x(at), y, 3.5, { class: "ghost-told" })];
}

function drawAlone(one, y, scale) {
  const x = scale.x(one.at);
  const ring = diamond(x, y, DIAMOND + 1.5, { class: "alone" });
  return grouped(
    one,
    `alone-item ${one.state ?? ""}`,
    diamond(x, y, DIAMOND + 4, { class: "hit" }),
    ring,
    drawn("circle", { class: "alone-dot", cx: x, cy: y, r: 1.7 }),
  );
}

function drawHeld(item, y, scale) {
  const from = Math.max(scale.left - 4, scale.x(item.at));
  const to = Math.min(scale.right + 4, Math.max(from + 1.5, scale.x(item.end) - 1));
  const box = { x: from, y, width: to - from, height: 5, rx: 2 };
  if (item.kind === "poll") return drawn("rect", { ...itemAttributes(item, `held poll ${item.ending}`), ...box });
  return grouped(item, "held", drawn("rect", { class: "socket", ...box }), ...framesOf(item, y, scale));
}

function framesOf(item, y, scale) {
  const seen = new Set();
  const made = [];
  for (const [at, sent] of item.frames ?? []) {
    const x = Math.round(scale.x(at));
    if (x < scale.left || x > scale.right || seen.has(x * 2 + sent)) continue;
    seen.add(x * 2 + sent);
    made.push(
      drawn("path", { class: sent ? "frame sent" : "frame", d: sent ? `M${x} ${y - 2}v4` : `M${x} ${y + 3}v4` }),
    );
  }
  return made;
}

function drawStep(step, y, scale) {
  const x = scale.x(step.at);
  const hit = drawn("circle", { class: "hit", cx: x, cy: y, r: 7 });
  return grouped(
    step,
    "step-item",
    hit,
    drawn("circle", { class: `step${step.refused ? " refused" : ""}`, cx: x, cy: y, r: 3.2 }),
  );
}

const BAR = { class: "bar", x: 0, y: 2, width: 19, height: 8, rx: 2.5 };
const barOf = (method) => () => drawn("g", { class: `exchange ${method}` }, drawn("rect", BAR));
const LEGEND = [
  ["POST", barOf("post")],
  ["GET", barOf("get")],
  ["publish", barOf("publish")],
  ["notification", () => drawn("g", {}, diamond(10, 6, 5, { class: "told" }))],
  ["early", () => drawn("g", {}, diamond(10, 6, 4.5, { class: "told early" }))],
  [
    "nobody asked",
    () =>
      drawn(
        "g",
        {},
        diamond(10, 6, 5.5, { class: "alone" }),
        drawn("circle", { class: "alone-dot", cx: 10, cy: 6, r: 1.7 }),
      ),
  ],
  ["held poll", () => drawn("rect", { class: "poll answered", x: 0, y: 4, width: 19, height: 5, rx: 2 })],
  [
    "WebSocket",
    () =>
      drawn(
        "g",
        {},
        drawn("rect", { class: "socket", x: 0, y: 4, width: 19, height: 5, rx: 2 }),
        drawn("path", { class: "frame", d: "M6 7v4M13 7v4" }),
      ),
  ],
  ["handshake", () => drawn("circle", { class: "step", cx: 10, cy: 6, r: 3.2 })],
  [
    "fault",
    () =>
      drawn(
        "g",
        {},
        drawn("circle", { class: "fault", cx: 10, cy: 6, r: 6 }),
        drawn("text", { class: "fault-sign", x: 10, y: 9.2 }, "!"),
      ),
  ],
];
const LEGEND_COMPARED = [
  ["now", barOf("post")],
  ["before", () => drawn("rect", { class: "ghost", x: 0, y: 4, width: 19, height: 4, rx: 1.5 })],
  ["added", () => drawn("g", { class: "added" }, drawn("text", { class: "sign", x: 10, y: 11 }, "+"))],
  ["removed", () => drawn("g", { class: "removed" }, drawn("text", { class: "sign", x: 10, y: 11 }, "−"))],
  ["changed", () => drawn("g", { class: "changed" }, drawn("text", { class: "sign", x: 10, y: 11 }, "≠"))],
  ["notification", () => drawn("g", {}, diamond(10, 6, 5, { class: "told" }))],
];

function drawLegend() {
  const there = {
    POST: exchanges.some((exchange) => methodOf(exchange) === "post"),
    GET: exchanges.some((exchange) => methodOf(exchange) === "get"),
    publish: exchanges.some((exchange) => methodOf(exchange) === "publish"),
    notification: exchanges.some((exchange) => exchange.told.length),
    early: exchanges.some((exchange) => exchange.told.some((one) => one.early)),
    "nobody asked": alone.length,
    "held poll": polls.length,
    WebSocket: sockets.length,
    handshake: steps.length,
    fault: exchanges.some((exchange) => exchange.faults.length),
  };
  const signs = compared ? LEGEND_COMPARED : LEGEND.filter(([words]) => there[words]);
  byId("legend").replaceChildren(
    ...signs.map(([words, sign]) =>
      element("li", {}, drawn("svg", { viewBox: "0 0 20 12", "aria-hidden": "true" }, sign()), words),
    ),
  );
}
