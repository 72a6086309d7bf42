// The details of the selected item, and the tooltip of the item under the pointer.

const panel = byId("details");
const tip = byId("tip");

function showDetails(item, number) {
  if (!item) {
    panel.replaceChildren(
      element(
        "p",
        { class: "empty" },
        "Select an item in the timeline to see its bodies: click it or use the arrow keys.",
      ),
    );
    return;
  }
  const parts = {
    exchange: exchangeDetails,
    unsolicited: unsolicitedDetails,
    poll: pollDetails,
    meta: metaDetails,
    socket: socketDetails,
  };
  panel.replaceChildren(...parts[item.kind](item).filter(Boolean));
  panel.scrollTop = 0;
  if (number !== null) panel.querySelectorAll("h4.notification")[number]?.scrollIntoView({ block: "nearest" });
  byId("announcement").textContent = item.accessibleName ?? accessibleName(item);
}

function exchangeDetails(exchange) {
  const parts = [
    element("h3", {}, exchange.name),
    element("p", { class: "target" }, element("b", {}, exchange.method), ` ${exchange.target}`),
    compared ? element("p", {}, element("span", { class: `badge ${exchange.state}` }, exchange.state)) : null,
    definitionList(exchangePairs(exchange)),
    ...exchange.faults.map((fault) => element("p", { class: "warning" }, `! ${fault}`)),
    ...exchange.notes.map((note) => element("p", { class: "remark" }, note)),
    ...exchange.changes.flatMap(changeDetails),
    ...bodyDetails("Request", "", exchange.request),
    ...bodyDetails("Headers of the reply", "", exchange.headers),
    ...bodyDetails("Reply", exchange.status ?? "", exchange.reply),
  ];
  for (const one of exchange.notifications) parts.push(...notificationDetails(one, exchange.at));
  return parts;
}

function exchangePairs(exchange) {
  const pairs = [
    [LANE, laneLabel(lanes[exchange.lane])],
    ["requested at", `${exchange.at.toFixed(3)} s`],
  ];
  pairs.push([
    "replied",
    exchange.replyAt === undefined ? "never" : `after ${duration(exchange.replyAt - exchange.at)}`,
  ]);
  exchange.notifications.forEach((one) =>
    pairs.push([
      "notified",
      `after ${duration(one.at - exchange.at)}${one.early ? ", before the reply" : ""}${receiverOf(exchange, one)}`,
    ]),
  );
  if (exchange.ownerType) pairs.push(["owner type", exchange.ownerType]);
  return pairs;
}

// The receiver of a notification, if it is another session than that of the request.
function receiverOf(exchange, one) {
  return one.lane === exchange.lane ? "" : `, ${LANE} ${laneLabel(lanes[one.lane])}`;
}

function bodyDetails(heading, remark, body) {
  if (!body) return [];
  return [element("h4", {}, heading, remark ? element("small", {}, remark) : null), prettyBlock(bodies[body])];
}

function notificationDetails(one, since) {
  const remark = since === null ? "" : `+${duration(one.at - since)}${one.early ? " early" : ""}`;
  const heading = element("h4", { class: "notification" }, typeOf(one) || "Notification", element("small", {}, remark));
  return [
    heading,
    element("p", { class: "target" }, one.channel),
    one.data ? prettyBlock(bodies[one.data]) : null,
    ...bodyDetails("ext", "", one.ext),
  ];
}

function changeDetails(change) {
  const lines = change.lines.map((line) =>
    element("span", { class: { "+": "plus", "-": "minus" }[line[0]] ?? "" }, `${line}\n`),
  );
  return [
    element("h4", {}, change.what),
    lines.length ? element("pre", { tabindex: "0", class: "difference" }, ...lines) : null,
  ];
}

function unsolicitedDetails(one) {
  return [
    element("h3", {}, typeOf(one) || one.channel),
    element("p", { class: "remark" }, "Unsolicited: no request caused this notification."),
    compared ? element("p", {}, element("span", { class: `badge ${one.state}` }, one.state)) : null,
    definitionList([
      [LANE, laneLabel(lanes[one.lane])],
      ["received at", `${one.at.toFixed(3)} s`],
    ]),
    ...notificationDetails(one, null),
  ];
}

function pollDetails(poll) {
  const until = poll.until === null ? "open" : `${poll.until.toFixed(3)} s`;
  return [
    element("h3", {}, "Held poll"),
    element("p", { class: "target" }, "/meta/connect"),
    element("p", { class: "remark" }, describePoll(poll)),
    definitionList([
      [LANE, laneLabel(lanes[poll.lane])],
      ["from", `${poll.at.toFixed(3)} s`],
      ["until", until],
    ]),
  ];
}

function metaDetails(message) {
  const pairs = [
    [LANE, laneLabel(lanes[message.lane])],
    ["at", `${message.at.toFixed(3)} s`],
    ["subscription", message.detail || null],
  ];
  return [
    element("h3", {}, message.channel),
    definitionList(pairs),
    message.refused ? element("p", { class: "warning" }, `! refused: ${message.refused}`) : null,
  ];
}

function socketDetails(socket) {
  const sent = socket.frames.filter(([, ours]) => ours).length;
  const pairs = [
    [LANE, laneLabel(lanes[socket.lane])],
    ["opened", `${socket.at.toFixed(3)} s`],
    ["closed", socket.until === null ? "still open at the end" : `${socket.until.toFixed(3)} s`],
  ];
  pairs.push(["frames", `${sent} sent, ${socket.frames.length - sent} received`]);
  return [element("h3", {}, "WebSocket"), definitionList(pairs)];
}

// --- tooltip -------------------------------------------------------------------------------------------------

function showTip(item, number, event) {
  tip.hidden = !item;
  if (!item) return;
  const one = number === null ? null : item.notifications[number];
  const body = one ? one.data : item.kind === "unsolicited" ? item.data : item.request || item.reply;
  const [name, ...lines] = describe(item);
  const title = one ? typeOf(one) || one.channel : name;
  if (one) lines.unshift(name);
  tip.replaceChildren(
    element("strong", {}, title),
    ...lines.map((line) => element("p", {}, line)),
    body ? prettyBlock(bodies[body].slice(0, 700)) : "",
  );
  const { width, height } = tip.getBoundingClientRect();
  const right = timeline.getBoundingClientRect().right; // the tooltip must not cover the details
  const below = event.clientY + 18;
  tip.style.left = `${Math.max(8, Math.min(event.clientX + 14, right - width - 8))}px`;
  tip.style.top = `${below + height > innerHeight ? Math.max(8, event.clientY - height - 12) : below}px`;
}

function startDetails() {
  listeners.selected.push(showDetails);
  timeline.addEventListener("pointermove", (event) => {
    const [item, number] = event.buttons ? [null, null] : itemAt(event);
    highlight(item?.id ?? null);
    showTip(item, number, event);
  });
  timeline.addEventListener("pointerleave", () => {
    highlight(null);
    tip.hidden = true;
  });
  byId("previous").addEventListener("click", () => selectNext(-1));
  byId("next").addEventListener("click", () => selectNext(1));
  showDetails(null, null);
}
