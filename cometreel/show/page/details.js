// The details of what was chosen, and the small card over what the pointer is on.

const panel = byId("details");
const tip = byId("tip");

function showDetails(item, told) {
  if (!item) {
    panel.replaceChildren(
      element(
        "p",
        { class: "empty" },
        "Choose something in the timeline to see what was said: click it, or use the arrow keys.",
      ),
    );
    return;
  }
  const parts = {
    exchange: exchangeDetails,
    alone: aloneDetails,
    poll: pollDetails,
    step: stepDetails,
    socket: socketDetails,
  };
  panel.replaceChildren(...parts[item.kind](item).filter(Boolean));
  panel.scrollTop = 0;
  if (told !== null) panel.querySelectorAll("h4.notification")[told]?.scrollIntoView({ block: "nearest" });
  byId("spoken").textContent = item.spoken ?? spokenName(item);
}

function exchangeDetails(exchange) {
  const parts = [
    element("h3", {}, exchange.name),
    element("p", { class: "target" }, element("b", {}, exchange.method), ` ${exchange.target}`),
    compared ? element("p", {}, element("span", { class: `badge ${exchange.state}` }, exchange.state)) : null,
    pairsOf(exchangePairs(exchange)),
    ...exchange.faults.map((fault) => element("p", { class: "warning" }, `! ${fault}`)),
    ...exchange.notes.map((note) => element("p", { class: "remark" }, note)),
    ...exchange.changes.flatMap(changeDetails),
    ...bodyDetails("Request", "", exchange.request),
    ...bodyDetails("Headers of the reply", "", exchange.headers),
    ...bodyDetails("Reply", exchange.status ?? "", exchange.reply),
  ];
  for (const one of exchange.told) parts.push(...toldDetails(one, exchange.at));
  return parts;
}

function exchangePairs(exchange) {
  const pairs = [
    [LANE, laneWords(lanes[exchange.lane])],
    ["asked at", `${exchange.at.toFixed(3)} s`],
  ];
  pairs.push([
    "acknowledged",
    exchange.replyAt === undefined ? "never" : `after ${duration(exchange.replyAt - exchange.at)}`,
  ]);
  exchange.told.forEach((one) =>
    pairs.push(["notified", `after ${duration(one.at - exchange.at)}${one.early ? ", before the reply" : ""}`]),
  );
  if (exchange.ownerType) pairs.push(["owner type", exchange.ownerType]);
  return pairs;
}

function bodyDetails(heading, remark, body) {
  if (!body) return [];
  return [element("h4", {}, heading, remark ? element("small", {}, remark) : null), prettyBlock(bodies[body])];
}

function toldDetails(one, since) {
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

function aloneDetails(one) {
  return [
    element("h3", {}, typeOf(one) || one.channel),
    element("p", { class: "remark" }, "No request asked for this notification."),
    compared ? element("p", {}, element("span", { class: `badge ${one.state}` }, one.state)) : null,
    pairsOf([
      [LANE, laneWords(lanes[one.lane])],
      ["came at", `${one.at.toFixed(3)} s`],
    ]),
    ...toldDetails(one, null),
  ];
}

function pollDetails(poll) {
  const until = poll.until === null ? "open" : `${poll.until.toFixed(3)} s`;
  return [
    element("h3", {}, "Held poll"),
    element("p", { class: "target" }, "/meta/connect"),
    element("p", { class: "remark" }, pollWords(poll)),
    pairsOf([
      [LANE, laneWords(lanes[poll.lane])],
      ["from", `${poll.at.toFixed(3)} s`],
      ["until", until],
    ]),
  ];
}

function stepDetails(step) {
  const pairs = [
    [LANE, laneWords(lanes[step.lane])],
    ["at", `${step.at.toFixed(3)} s`],
    ["of", step.detail || null],
  ];
  return [
    element("h3", {}, step.channel),
    pairsOf(pairs),
    step.refused ? element("p", { class: "warning" }, `! refused: ${step.refused}`) : null,
  ];
}

function socketDetails(socket) {
  const sent = socket.frames.filter(([, ours]) => ours).length;
  const pairs = [
    [LANE, laneWords(lanes[socket.lane])],
    ["opened", `${socket.at.toFixed(3)} s`],
    ["closed", socket.until === null ? "open to the end" : `${socket.until.toFixed(3)} s`],
  ];
  pairs.push(["frames", `${sent} sent, ${socket.frames.length - sent} received`]);
  return [element("h3", {}, "WebSocket"), pairsOf(pairs)];
}

// --- the card over the pointer --------------------------------------------------------------------------------

function showTip(item, told, event) {
  tip.hidden = !item;
  if (!item) return;
  const one = told === null ? null : item.told[told];
  const body = one ? one.data : item.kind === "alone" ? item.data : item.request || item.reply;
  const [name, ...lines] = saidOf(item);
  const title = one ? typeOf(one) || one.channel : name;
  if (one) lines.unshift(name);
  tip.replaceChildren(
    element("strong", {}, title),
    ...lines.map((line) => element("p", {}, line)),
    body ? prettyBlock(bodies[body].slice(0, 700)) : "",
  );
  const { width, height } = tip.getBoundingClientRect();
  const right = stage.getBoundingClientRect().right; // so that it never lies over the details
  const below = event.clientY + 18;
  tip.style.left = `${Math.max(8, Math.min(event.clientX + 14, right - width - 8))}px`;
  tip.style.top = `${below + height > innerHeight ? Math.max(8, event.clientY - height - 12) : below}px`;
}

function startDetails() {
  listeners.chosen.push(showDetails);
  stage.addEventListener("pointermove", (event) => {
    const [item, told] = event.buttons ? [null, null] : itemUnder(event);
    light(item?.id ?? null);
    showTip(item, told, event);
  });
  stage.addEventListener("pointerleave", () => {
    light(null);
    tip.hidden = true;
  });
  byId("previous").addEventListener("click", () => chooseNext(-1));
  byId("next").addEventListener("click", () => chooseNext(1));
  showDetails(null, null);
}
