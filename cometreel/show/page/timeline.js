// The timeline: the visible range, its movement, and drawing. Draws only visible items, or their density if there are too
// many.

const timeline = byId("lanes");
const axis = byId("axis");
const viewport = byId("viewport");
const GUTTER = 142;
const MAX_DRAWN = 300;
const DENSE_PIXELS = 5;
const FIRST_EXCHANGES = 60;
const ALL_EXCHANGES = 90;
const MARGIN = 0.02;
const MARGIN_AFTER = 0.12; // space for the names of the last exchanges

const view = { start: 0, span: 1, width: 800, height: 300 };
const bounds = {
  start: -conversation.seconds * MARGIN || -0.5,
  span: conversation.seconds * (1 + MARGIN + MARGIN_AFTER) || 1,
};
const listeners = { moved: [], selected: [] };
let layout = { lanes: [], height: 0 };
let left = { exchanges: [], unsolicited: [], polls: [], sockets: [], metaMessages: [] };
let waiting = false;
let moving = 0;

function showItems(items) {
  const hits = items.exchanges.length + items.unsolicited.length > 0;
  const nothing = !hits && exchanges.length + unsolicited.length > 0;
  left = nothing ? { exchanges: [], unsolicited: [], polls: [], sockets: [], metaMessages: [] } : items;
  layout = layOutLanes(left);
  byId("spacer").style.height = `${layout.height}px`;
  byId("nothing").hidden = layout.lanes.length > 0;
  byId("nothing").textContent = nothing ? "Nothing matches the filters." : "There is nothing to show.";
  redraw();
}

function showFirst() {
  const few = exchanges.length <= ALL_EXCHANGES || exchanges[FIRST_EXCHANGES].end <= exchanges[0].at;
  const end = few ? bounds.start + bounds.span : exchanges[FIRST_EXCHANGES].at;
  const start = few ? bounds.start : Math.max(bounds.start, exchanges[0].at - (end - exchanges[0].at) * MARGIN);
  setView(start, end - start);
}

// --- visible range --------------------------------------------------------------------------------------------

function setView(start, span) {
  const least = Math.min(bounds.span, 0.002);
  view.span = Math.min(Math.max(span, least), bounds.span);
  view.start = Math.min(Math.max(start, bounds.start), bounds.start + bounds.span - view.span);
  redraw();
}

function animateTo(start, span) {
  cancelAnimationFrame(moving);
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) return setView(start, span);
  const from = { ...view };
  const began = performance.now();
  const step = (now) => {
    const share = Math.min(1, Math.max(0, (now - began) / 180));
    const eased = 1 - (1 - share) ** 3;
    const width = from.span * (span / from.span) ** eased;
    const middle = from.start + from.span / 2 + (start + span / 2 - from.start - from.span / 2) * eased;
    setView(middle - width / 2, width);
    if (share < 1) moving = requestAnimationFrame(step);
  };
  moving = requestAnimationFrame(step);
  return undefined;
}

function zoom(factor, at = view.start + view.span / 2, animate = true) {
  const span = Math.min(Math.max(view.span * factor, 0.002), bounds.span);
  const start = at - ((at - view.start) / view.span) * span;
  (animate ? animateTo : setView)(start, span);
}

function pan(share) {
  animateTo(
    Math.min(Math.max(view.start + view.span * share, bounds.start), bounds.start + bounds.span - view.span),
    view.span,
  );
}

function showAll() {
  animateTo(bounds.start, bounds.span);
}

function reveal(item) {
  const lane = layout.lanes.find((one) => one.number === item.lane);
  if (!lane) return;
  const margin = view.span * 0.1;
  if (isDense())
    setView(item.at - (item.end - item.at || 0.05), Math.max(8 * (item.end - item.at), view.span / 40, 0.05));
  while (isDense() && view.span > 0.01) setView(item.at - view.span / 8, view.span / 4);
  if (item.at < view.start || item.at > view.start + view.span - margin) setView(item.at - view.span / 3, view.span);
  if (lane.top < viewport.scrollTop) viewport.scrollTop = lane.top;
  if (lane.top + lane.height > viewport.scrollTop + view.height)
    viewport.scrollTop = lane.top + lane.height - view.height;
}

// --- drawing --------------------------------------------------------------------------------------------------

function redraw() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => {
    waiting = false;
    draw();
  });
}

function scaleOf() {
  const plot = Math.max(50, view.width - GUTTER);
  return {
    left: GUTTER,
    right: view.width,
    plot,
    x: (at) => Math.round((GUTTER + ((at - view.start) / view.span) * plot) * 100) / 100,
  };
}

function isDense() {
  let number = 0;
  for (const lane of layout.lanes) {
    const [from, to] = visibleRange(lane.exchanges, lane.exchangesLatestEnds, view.start, view.start + view.span);
    number += to - from;
  }
  return number > MAX_DRAWN;
}

function draw() {
  view.width = viewport.clientWidth;
  view.height = Math.min(viewport.clientHeight, Math.max(layout.height, 1));
  timeline.setAttribute("height", view.height);
  timeline.setAttribute("viewBox", `0 0 ${view.width} ${view.height}`);
  const scale = scaleOf();
  const dense = isDense();
  const grid = drawTicks(scale);
  const made = [grid];
  const top = viewport.scrollTop;
  const names = [];
  for (const lane of layout.lanes) {
    if (lane.top + lane.height < top || lane.top > top + view.height) continue;
    made.push(
      drawLaneBackground(lane, lane.top - top),
      ...(dense ? drawDensity(lane, lane.top - top, scale) : drawLane(lane, lane.top - top, scale)),
    );
    names.push(...drawName(lane, lane.top - top));
  }
  timeline.replaceChildren(
    ...made,
    ...(layout.lanes.length ? drawMarks(scale) : []),
    svgElement("rect", { class: "gutter", x: 0, y: 0, width: GUTTER - 8, height: view.height }),
    ...names,
  );
  timeline.dataset.dense = dense;
  timeline.dataset.drawn = timeline.querySelectorAll(".item").length;
  timeline.setAttribute("role", timeline.querySelector("[role=option]") ? "listbox" : "img");
  updateClasses();
  for (const listen of listeners.moved) listen();
}

function drawTicks(scale) {
  const step = tickStep(scale.plot);
  const grid = svgElement("g", { role: "presentation" });
  const labels = [];
  for (let number = Math.ceil(Math.max(0, view.start) / step); number * step <= view.start + view.span; number += 1) {
    const x = scale.x(number * step);
    grid.append(svgElement("path", { class: "tick", d: `M${x} 0V${view.height}` }));
    labels.push(
      svgElement("path", { class: "tick", d: `M${x} 19V26` }),
      svgElement("text", { class: "axis-text", x: x + 3, y: 17 }, timeLabel(number * step, step, conversation.seconds)),
    );
  }
  axis.setAttribute("viewBox", `0 0 ${view.width} 26`);
  axis.replaceChildren(...labels);
  return grid;
}

function tickStep(plot) {
  const wanted = (view.span / plot) * 92;
  const steps = [1, 2, 5].flatMap((digit) => [-6, -5, -4, -3, -2, -1, 0].map((power) => digit * 10 ** power));
  steps.push(10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 86400);
  const found = steps.sort((one, other) => one - other).find((step) => step >= wanted);
  return found ?? 86400 * 10 ** Math.ceil(Math.log10(wanted / 86400)); // recordings of years, from a wrong clock
}

function drawLaneBackground(lane, y) {
  const odd = layout.lanes.indexOf(lane) % 2 ? " odd" : "";
  const ground = svgElement("g", { role: "presentation" });
  ground.append(
    svgElement("rect", { class: `lane-ground${odd}`, x: 0, y, width: view.width, height: lane.height }),
    svgElement("path", { class: "band", d: `M${GUTTER} ${y + lane.notificationY}H${view.width}` }),
    svgElement("path", { class: "lane-line", d: `M0 ${y + lane.height - 0.5}H${view.width}` }),
  );
  return ground;
}

function drawName(lane, y) {
  const words = lanes[lane.number];
  const shown = Math.max(y, Math.min(0, y + lane.height - 44));
  return [
    svgElement("text", { class: "lane-name", x: 15, y: shown + 25 }, shortened(words.name, GUTTER - 30, nameWidth)),
    svgElement(
      "text",
      { class: "lane-detail", x: 15, y: shown + 40 },
      shortened(words.detail || plural(lane.exchanges.length, "exchange"), GUTTER - 30, labelWidth),
    ),
  ];
}

function inView(lane, kind) {
  const [from, to] = visibleRange(lane[kind], lane[`${kind}LatestEnds`], view.start, view.start + view.span);
  return lane[kind].slice(from, to).filter((item) => item.end >= view.start);
}

function drawLane(lane, y, scale) {
  const notificationY = y + lane.notificationY;
  const seen = inView(lane, "exchanges");
  const arrows = [];
  const notifications = [];
  const bars = [];
  for (const exchange of seen) {
    const rowY = y + TOP + exchange.row * ROW;
    const until = exchange.after ? Math.min(scale.x(exchange.after.at), scale.right) : scale.right;
    bars.push(...drawExchange(exchange, rowY, scale, until));
    for (const one of exchange.notifications) {
      const other = layout.lanes.find((each) => each.number === one.lane);
      const toY =
        other && other !== lane
          ? notificationY + other.top + other.notificationY - lane.top - lane.notificationY
          : notificationY;
      arrows.push(drawArrow(exchange, one, rowY + 14, toY, scale));
      notifications.push(drawNotification(exchange, one, toY, scale));
    }
    (exchange.before?.notifications ?? []).forEach((at, number) =>
      notifications.unshift(...drawPreviousNotification(at, exchange.notifications[number], notificationY, scale)),
    );
  }
  return [
    ...drawAllHeld(lane, y, scale),
    ...arrows,
    ...bars,
    ...inView(lane, "metaMessages").map((message) => drawMetaMessage(message, notificationY, scale)),
    ...notifications,
    ...inView(lane, "unsolicited").map((one) => drawUnsolicited(one, notificationY, scale)),
  ];
}

// Draws polls that fall on the same pixel once.
function drawAllHeld(lane, y, scale) {
  const free = [];
  const made = [];
  for (const item of inView(lane, "held")) {
    const right = scale.x(item.end);
    if (right - (free[item.row] ?? -Infinity) < 1) continue;
    free[item.row] = right;
    made.push(drawHeld(item, y + lane.heldY + item.row * TRACK, scale));
  }
  return made;
}

// Too many items to distinguish: draws the number of exchanges, notifications and faults per few pixels.
function drawDensity(lane, y, scale) {
  const columns = new Map();
  for (const exchange of inView(lane, "exchanges")) {
    const column = Math.max(0, Math.floor((scale.x(exchange.at) - GUTTER) / DENSE_PIXELS));
    const sum = columns.get(column) ?? { exchanges: 0, notifications: 0, faults: 0 };
    sum.exchanges += 1;
    sum.notifications += exchange.notifications.length;
    sum.faults += exchange.faults.length ? 1 : 0;
    columns.set(column, sum);
  }
  const most = Math.max(1, ...[...columns.values()].map((sum) => sum.exchanges));
  const tall = lane.rows * ROW - 14;
  const paths = { dense: "", "dense-notification": "", "dense-fault": "" };
  for (const [column, sum] of columns) {
    const x = GUTTER + column * DENSE_PIXELS;
    const bar = (number, base, space) =>
      `M${x} ${base}h${DENSE_PIXELS - 1}v${-(number / most) * space}h${1 - DENSE_PIXELS}z`;
    paths.dense += bar(sum.exchanges, y + TOP + lane.rows * ROW, tall);
    if (sum.notifications)
      paths["dense-notification"] += bar(Math.min(sum.notifications, most), y + lane.notificationY + 6, 14);
    if (sum.faults) paths["dense-fault"] += bar(sum.faults, y + TOP + lane.rows * ROW, tall);
  }
  const bars = Object.entries(paths).map(([name, d]) => svgElement("path", { class: name, d }));
  return [
    ...bars,
    svgElement(
      "text",
      { class: "dense-text", x: GUTTER + 6, y: y + 13 },
      `up to ${plural(most, "exchange")} in ${duration((view.span / scale.plot) * DENSE_PIXELS)}; zoom in to see each`,
    ),
  ];
}

function drawMarks(scale) {
  return conversation.marks
    .filter((mark) => mark.at >= view.start && mark.at <= view.start + view.span)
    .flatMap((mark) => [
      svgElement("path", { class: "mark", d: `M${scale.x(mark.at)} 0V${view.height}` }),
      svgElement("text", { class: "mark-text", x: scale.x(mark.at) + 4, y: 10 }, shortened(mark.text, 260, labelWidth)),
    ]);
}
