// The model: the conversation as it was embedded, made ready for looking things up. Knows no element but its source.

const conversation = JSON.parse(byId("conversation").textContent);
const bodies = conversation.bodies;
const compared = conversation.compared !== undefined;
const lanes = conversation.lanes;
const LANE = conversation.subtitle === "scenario" ? "role" : "session"; // what a lane is called

const exchanges = conversation.exchanges.map((exchange, number) => {
  const told = (exchange.told ?? []).map((one) => ({ ...one, early: isEarly(exchange, one) }));
  const made = { faults: [], notes: [], changes: [], ...exchange, told, id: `x${number}`, kind: "exchange" };
  made.end = Math.max(made.at, made.replyAt ?? made.at, ...told.map((one) => one.at), ...(made.before?.told ?? []));
  return made;
});
const alone = conversation.unsolicited.map((one, number) => ({
  ...one,
  id: `u${number}`,
  kind: "alone",
  end: one.at,
  type: one.kind,
}));
const polls = conversation.polls.map((poll, number) => lasting(poll, `p${number}`, "poll"));
const sockets = conversation.sockets.map((socket, number) => lasting(socket, `w${number}`, "socket"));
const steps = conversation.steps.map((step, number) => ({ ...step, id: `s${number}`, kind: "step", end: step.at }));
const items = new Map([...exchanges, ...alone, ...polls, ...sockets, ...steps].map((item) => [item.id, item]));

function isEarly(exchange, one) {
  return exchange.replyAt !== undefined && one.at < exchange.replyAt;
}

function lasting(one, id, kind) {
  return { ...one, id, kind, end: one.until ?? conversation.seconds };
}

function typeOf(told) {
  return (told.kind === "alone" ? told.type : told.kind) ?? "";
}

// What the text filter looks through; made when it is first needed and kept.
function searchable(item) {
  if (item.searchable === undefined) {
    const told = item.told ?? [item];
    const parts = [
      item.name,
      item.method,
      item.target,
      item.operation,
      item.ownerType,
      bodies[item.request ?? 0],
      bodies[item.reply ?? 0],
    ];
    for (const one of told) parts.push(one.channel, typeOf(one), bodies[one.data ?? 0]);
    parts.push(...(item.faults ?? []));
    item.searchable = parts.filter(Boolean).join("\n").toLowerCase();
  }
  return item.searchable;
}

// What there is to say of an item, its name first: a line each on the card, one sentence for a screen reader.
function saidOf(item) {
  if (item.kind === "exchange") {
    const reply =
      item.replyAt === undefined ? "no reply" : `${item.status ?? ""} after ${duration(item.replyAt - item.at)}`;
    const told = item.told.map(
      (one) => `notified after ${duration(one.at - item.at)}${one.early ? " (before the reply)" : ""}`,
    );
    return [
      item.name,
      `${item.method} ${item.target}`,
      ...(compared ? [item.state] : []),
      reply,
      ...told,
      ...item.faults,
    ];
  }
  if (item.kind === "alone") return [typeOf(item) || item.channel, "a notification nobody asked for", item.channel];
  if (item.kind === "poll") return ["Held poll", pollWords(item)];
  if (item.kind === "step")
    return [item.channel, item.detail, item.refused && `refused: ${item.refused}`].filter(Boolean);
  return ["WebSocket", plural(item.frames.length, "frame")];
}

function spokenName(item) {
  return saidOf(item).join(", ");
}

function pollWords(poll) {
  if (poll.ending === "open") return "still held when the recording ended";
  const held = `held ${duration(poll.until - poll.at)}`;
  if (poll.ending === "answered") return `${held}, brought ${plural(poll.messages, "notification")}`;
  if (poll.ending === "empty") return `${held}, nothing came`;
  return `${held}, ${poll.ending}: ${poll.detail}`;
}
