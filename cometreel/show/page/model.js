// The model: parses the embedded conversation and prepares lookups.

const conversation = JSON.parse(byId("conversation").textContent);
const bodies = conversation.bodies;
const compared = conversation.compared !== undefined;
const lanes = conversation.lanes;
const LANE = conversation.subtitle === "scenario" ? "role" : "session"; // the name of a lane

const exchanges = conversation.exchanges.map((exchange, number) => {
  const notifications = (exchange.notifications ?? []).map((one) => ({ ...one, early: isEarly(exchange, one) }));
  const made = { faults: [], notes: [], changes: [], ...exchange, notifications, id: `x${number}`, kind: "exchange" };
  made.end = Math.max(
    made.at,
    made.replyAt ?? made.at,
    ...notifications.map((one) => one.at),
    ...(made.before?.notifications ?? []),
  );
  return made;
});
const unsolicited = conversation.unsolicited.map((one, number) => ({
  ...one,
  id: `u${number}`,
  kind: "unsolicited",
  end: one.at,
  type: one.kind,
}));
const polls = conversation.polls.map((poll, number) => withEnd(poll, `p${number}`, "poll"));
const sockets = conversation.sockets.map((socket, number) => withEnd(socket, `w${number}`, "socket"));
const metaMessages = conversation.metaMessages.map((message, number) => ({
  ...message,
  id: `s${number}`,
  kind: "meta",
  end: message.at,
}));
const items = new Map(
  [...exchanges, ...unsolicited, ...polls, ...sockets, ...metaMessages].map((item) => [item.id, item]),
);

function isEarly(exchange, one) {
  return exchange.replyAt !== undefined && one.at < exchange.replyAt;
}

function withEnd(one, id, kind) {
  return { ...one, id, kind, end: one.until ?? conversation.seconds };
}

function typeOf(notification) {
  return (notification.kind === "unsolicited" ? notification.type : notification.kind) ?? "";
}

// The text that the text filter searches; cached.
function searchable(item) {
  if (item.searchable === undefined) {
    const notifications = item.notifications ?? [item];
    const parts = [
      item.name,
      item.method,
      item.target,
      item.operation,
      item.ownerType,
      bodies[item.request ?? 0],
      bodies[item.reply ?? 0],
    ];
    for (const one of notifications) parts.push(one.channel, typeOf(one), bodies[one.data ?? 0]);
    parts.push(...(item.faults ?? []));
    item.searchable = parts.filter(Boolean).join("\n").toLowerCase();
  }
  return item.searchable;
}

// Describes an item, its name first: the lines of the tooltip, one sentence for screen readers.
function describe(item) {
  if (item.kind === "exchange") {
    const reply =
      item.replyAt === undefined ? "no reply" : `${item.status ?? ""} after ${duration(item.replyAt - item.at)}`;
    const notifications = item.notifications.map(
      (one) => `notified after ${duration(one.at - item.at)}${one.early ? " (before the reply)" : ""}`,
    );
    return [
      item.name,
      `${item.method} ${item.target}`,
      ...(compared ? [item.state] : []),
      reply,
      ...notifications,
      ...item.faults,
    ];
  }
  if (item.kind === "unsolicited") return [typeOf(item) || item.channel, "unsolicited notification", item.channel];
  if (item.kind === "poll") return ["Held poll", describePoll(item)];
  if (item.kind === "meta")
    return [item.channel, item.detail, item.refused && `refused: ${item.refused}`].filter(Boolean);
  return ["WebSocket", plural(item.frames.length, "frame")];
}

function accessibleName(item) {
  return describe(item).join(", ");
}

function describePoll(poll) {
  if (poll.ending === "open") return "still held when the recording ended";
  const held = `held ${duration(poll.until - poll.at)}`;
  if (poll.ending === "answered") return `${held}, returned ${plural(poll.messages, "notification")}`;
  if (poll.ending === "empty") return `${held}, empty`;
  return `${held}, ${poll.ending}: ${poll.detail}`;
}
