// Drawing: creates the SVG of one item at a given position.

const DIAMOND = 5;

function diamond(x, y, size, attributes) {
  return svgElement("path", {
    d: `M${x} ${y - size}l${size} ${size}l${-size} ${size}l${-size} ${-size}z`,
    ...attributes,
  });
}

function itemAttributes(item, words) {
  item.accessibleName ??= accessibleName(item);
  return {
    id: item.id,
    "data-item": item.id,
    class: `item ${words}`,
    role: "option",
    "aria-label": item.accessibleName,
    "aria-selected": "false",
  };
}

function grouped(item, words, ...children) {
  return svgElement("g", itemAttributes(item, words), ...children);
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

// `scale.x` converts seconds to pixels, `y` is the top of the row, `until` the left edge of the next item.
function drawExchange(exchange, y, scale, until) {
  const from = scale.x(exchange.at);
  const least = exchange.replyAt === undefined ? 16 : 3;
  const to = Math.max(from + least, scale.x(exchange.replyAt ?? exchange.at));
  const labelAt = to + 6 + (exchange.faults.length ? 14 : 0) + (hasSign(exchange) ? 12 : 0);
  const label = shortened(exchange.name, until - labelAt - 8, labelWidth);
  const right = label ? labelAt + labelWidth(label) : Math.max(to, labelAt - 6);
  const hit = svgElement("rect", {
    class: "hit",
    x: from - 3,
    y: y + 1,
    width: right - from + 6,
    height: ROW - 2,
    rx: 4,
  });
  const bar = svgElement("rect", { class: "bar", x: from, y: y + 5, width: to - from, height: 9, rx: 2.5 });
  const group = grouped(
    exchange,
    classesOf(exchange),
    hit,
    bar,
    ...ghostOf(exchange, y, scale),
    faultSign(exchange, to, y),
    stateSign(exchange, labelAt, y),
  );
  return label ? [group, drawLabel(label, labelAt, y + 13.5)] : [group];
}

// Outside the option, whose accessible name is complete: a shortened name would differ from it.
function drawLabel(label, x, y) {
  return svgElement("text", { class: "label", x, y, "aria-hidden": "true" }, label);
}

function ghostOf(exchange, y, scale) {
  if (!exchange.before) return [];
  const from = scale.x(exchange.at);
  const to = Math.max(from + 3, scale.x(exchange.before.replyAt ?? exchange.at));
  return [svgElement("rect", { class: "ghost", x: from, y: y + 14.5, width: to - from, height: 3, rx: 1.5 })];
}

function faultSign(exchange, x, y) {
  if (!exchange.faults.length) return null;
  const middle = x + 10;
  return svgElement(
    "g",
    {},
    svgElement("circle", { class: "fault", cx: middle, cy: y + 9.5, r: 6 }),
    svgElement("text", { class: "fault-sign", x: middle, y: y + 13.5, "aria-hidden": "true" }, "!"),
  );
}

function hasSign(exchange) {
  return compared && exchange.state !== "same";
}

function stateSign(exchange, labelAt, y) {
  if (!hasSign(exchange)) return null;
  const sign = { added: "+", removed: "−", changed: "≠" }[exchange.state];
  return svgElement("text", { class: "sign", x: labelAt - 8, y: y + 14, "aria-hidden": "true" }, sign);
}

// An arrow from the request to the notification.
function drawArrow(exchange, notification, fromY, toY, scale) {
  const from = scale.x(exchange.at) + 1;
  const to = scale.x(notification.at);
  const bend = Math.max(8, (toY - fromY) * 0.55);
  const d = `M${from} ${fromY}C${from} ${fromY + bend} ${to} ${toY - bend} ${to} ${toY - DIAMOND - 1}`;
  return svgElement("path", { class: `arrow${notification.early ? " early" : ""}`, d, "data-item": exchange.id });
}

function drawNotification(exchange, notification, y, scale) {
  const x = scale.x(notification.at);
  const attributes = {
    class: `item notification${notification.early ? " early" : ""}`,
    "data-item": exchange.id,
    "data-notification": exchange.notifications.indexOf(notification),
  };
  return diamond(x, y, notification.early ? DIAMOND - 0.5 : DIAMOND, attributes);
}

// The notification of the first conversation, and a line to its new time.
function drawPreviousNotification(at, now, y, scale) {
  const moved = now && Math.abs(scale.x(now.at) - scale.x(at)) > 2 * DIAMOND;
  const line = moved ? [svgElement("path", { class: "ghost-line", d: `M${scale.x(at)} ${y}H${scale.x(now.at)}` })] : [];
  return [...line, diamond(scale.x(at), y, 3.5, { class: "ghost-notification" })];
}

function drawUnsolicited(one, y, scale) {
  const x = scale.x(one.at);
  const ring = diamond(x, y, DIAMOND + 1.5, { class: "unsolicited" });
  return grouped(
    one,
    `unsolicited-item ${one.state ?? ""}`,
    diamond(x, y, DIAMOND + 4, { class: "hit" }),
    ring,
    svgElement("circle", { class: "unsolicited-dot", cx: x, cy: y, r: 1.7 }),
  );
}

function drawHeld(item, y, scale) {
  const from = Math.max(scale.left - 4, scale.x(item.at));
  const to = Math.min(scale.right + 4, Math.max(from + 1.5, scale.x(item.end) - 1));
  const box = { x: from, y, width: to - from, height: 5, rx: 2 };
  if (item.kind === "poll") return svgElement("rect", { ...itemAttributes(item, `held poll ${item.ending}`), ...box });
  return grouped(item, "held", svgElement("rect", { class: "socket", ...box }), ...framesOf(item, y, scale));
}

function framesOf(item, y, scale) {
  const seen = new Set();
  const made = [];
  for (const [at, sent] of item.frames ?? []) {
    const x = Math.round(scale.x(at));
    if (x < scale.left || x > scale.right || seen.has(x * 2 + sent)) continue;
    seen.add(x * 2 + sent);
    made.push(
      svgElement("path", { class: sent ? "frame sent" : "frame", d: sent ? `M${x} ${y - 2}v4` : `M${x} ${y + 3}v4` }),
    );
  }
  return made;
}

function drawMetaMessage(message, y, scale) {
  const x = scale.x(message.at);
  const hit = svgElement("circle", { class: "hit", cx: x, cy: y, r: 7 });
  return grouped(
    message,
    "meta-item",
    hit,
    svgElement("circle", { class: `meta${message.refused ? " refused" : ""}`, cx: x, cy: y, r: 3.2 }),
  );
}

const BAR = { class: "bar", x: 0, y: 2, width: 19, height: 8, rx: 2.5 };
const barOf = (method) => () => svgElement("g", { class: `exchange ${method}` }, svgElement("rect", BAR));
const LEGEND = [
  ["POST", barOf("post")],
  ["GET", barOf("get")],
  ["publish", barOf("publish")],
  ["notification", () => svgElement("g", {}, diamond(10, 6, 5, { class: "notification" }))],
  ["early", () => svgElement("g", {}, diamond(10, 6, 4.5, { class: "notification early" }))],
  [
    "unsolicited",
    () =>
      svgElement(
        "g",
        {},
        diamond(10, 6, 5.5, { class: "unsolicited" }),
        svgElement("circle", { class: "unsolicited-dot", cx: 10, cy: 6, r: 1.7 }),
      ),
  ],
  ["held poll", () => svgElement("rect", { class: "poll answered", x: 0, y: 4, width: 19, height: 5, rx: 2 })],
  [
    "WebSocket",
    () =>
      svgElement(
        "g",
        {},
        svgElement("rect", { class: "socket", x: 0, y: 4, width: 19, height: 5, rx: 2 }),
        svgElement("path", { class: "frame", d: "M6 7v4M13 7v4" }),
      ),
  ],
  ["handshake", () => svgElement("circle", { class: "meta", cx: 10, cy: 6, r: 3.2 })],
  [
    "fault",
    () =>
      svgElement(
        "g",
        {},
        svgElement("circle", { class: "fault", cx: 10, cy: 6, r: 6 }),
        svgElement("text", { class: "fault-sign", x: 10, y: 10 }, "!"),
      ),
  ],
];
const LEGEND_COMPARED = [
  ["now", barOf("post")],
  ["before", () => svgElement("rect", { class: "ghost", x: 0, y: 4, width: 19, height: 4, rx: 1.5 })],
  ["added", () => svgElement("g", { class: "added" }, svgElement("text", { class: "sign", x: 10, y: 11 }, "+"))],
  ["removed", () => svgElement("g", { class: "removed" }, svgElement("text", { class: "sign", x: 10, y: 11 }, "−"))],
  ["changed", () => svgElement("g", { class: "changed" }, svgElement("text", { class: "sign", x: 10, y: 11 }, "≠"))],
  ["notification", () => svgElement("g", {}, diamond(10, 6, 5, { class: "notification" }))],
];

function drawLegend() {
  const there = {
    POST: exchanges.some((exchange) => methodOf(exchange) === "post"),
    GET: exchanges.some((exchange) => methodOf(exchange) === "get"),
    publish: exchanges.some((exchange) => methodOf(exchange) === "publish"),
    notification: exchanges.some((exchange) => exchange.notifications.length),
    early: exchanges.some((exchange) => exchange.notifications.some((one) => one.early)),
    unsolicited: unsolicited.length,
    "held poll": polls.length,
    WebSocket: sockets.length,
    handshake: metaMessages.length,
    fault: exchanges.some((exchange) => exchange.faults.length),
  };
  const signs = compared ? LEGEND_COMPARED : LEGEND.filter(([words]) => there[words]);
  byId("legend").replaceChildren(
    ...signs.map(([words, sign]) =>
      element("li", {}, svgElement("svg", { viewBox: "0 0 20 12", "aria-hidden": "true" }, sign()), words),
    ),
  );
}
