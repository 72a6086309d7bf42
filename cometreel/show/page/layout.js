// Layout: assigns lanes and rows to items. timeline.js converts times to pixels.

const ROW = 20;
const TOP = 11;
const NOTIFICATION_GAP = 28;
const TRACK = 9;
const BOTTOM = 13;
const MIN_ROWS = [
  [1, 8],
  [3, 5],
  [8, 3],
  [Infinity, 2],
]; // by number of lanes: fewer lanes get more rows
const MAX_ROWS = 9;
const MAX_TRACKS = 4;

// Returns lanes with `top`, `height`, `rows` and their items, ordered by time, each with its `row`.
function layOutLanes(left) {
  const byLane = new Map();
  const laneOf = (number) => {
    if (!byLane.has(number))
      byLane.set(number, { number, exchanges: [], unsolicited: [], polls: [], sockets: [], metaMessages: [] });
    return byLane.get(number);
  };
  for (const kind of ["exchanges", "unsolicited", "polls", "sockets", "metaMessages"]) {
    for (const item of left[kind]) laneOf(item.lane)[kind].push(item);
  }
  for (const exchange of left.exchanges) for (const one of exchange.notifications) laneOf(one.lane);
  const made = [...byLane.values()].sort((one, other) => one.number - other.number);
  let top = 0;
  for (const lane of made) {
    layOutLane(lane, made.length);
    lane.top = top;
    top += lane.height;
  }
  return { lanes: made, height: top };
}

function layOutLane(lane, together) {
  const fewest = Math.min(MIN_ROWS.find(([most]) => together <= most)[1], lane.exchanges.length);
  lane.rows = Math.max(1, assignRows(lane.exchanges, fewest, MAX_ROWS));
  const held = [...lane.polls, ...lane.sockets].sort((one, other) => one.at - other.at);
  lane.tracks = assignRows(held, 0, MAX_TRACKS);
  lane.held = held;
  lane.notificationY = TOP + lane.rows * ROW + NOTIFICATION_GAP - 8;
  lane.heldY = lane.notificationY + 9;
  lane.height = lane.heldY + Math.max(lane.tracks, 1) * TRACK + BOTTOM;
  for (const kind of ["exchanges", "unsolicited", "held", "metaMessages"])
    lane[`${kind}LatestEnds`] = latestEnds(lane[kind]);
}

// The free row with the oldest item takes the next one, so that consecutive items are in different rows and their names
// fit. `after` of an item is the next one in its row.
function assignRows(sorted, fewest, most) {
  const rows = Array.from({ length: fewest }, () => ({ start: -Infinity, free: -Infinity, last: null }));
  for (const item of sorted) {
    let row = rows.filter((one) => one.free <= item.at).sort((one, other) => one.start - other.start)[0];
    if (!row && rows.length < most) rows.push((row = { start: 0, free: 0, last: null }));
    if (!row) row = rows.reduce((one, other) => (one.free <= other.free ? one : other));
    if (row.last) row.last.after = item;
    item.row = rows.indexOf(row);
    item.after = null;
    Object.assign(row, { start: item.at, free: Math.max(row.free, item.end), last: item });
  }
  return rows.length;
}

// Returns the latest end up to each index, to find items that start before the visible range and end in it.
function latestEnds(sorted) {
  let latest = -Infinity;
  return sorted.map((item) => (latest = Math.max(latest, item.end)));
}

// Returns the index range of the items that overlap a time range; the list must be ordered by time.
function visibleRange(sorted, latest, start, end) {
  return [firstIndex(latest, (value) => value >= start), firstIndex(sorted, (item) => item.at > end)];
}

function firstIndex(list, holds) {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (holds(list[middle])) high = middle;
    else low = middle + 1;
  }
  return low;
}
