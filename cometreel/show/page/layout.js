// Layout: which lane and row each item is on. Knows time and rows; where that is in pixels is the timeline's.

const ROW = 20;
const TOP = 11;
const TELL = 28;
const TRACK = 9;
const BOTTOM = 13;
const FEWEST_ROWS = [
  [1, 8],
  [3, 5],
  [8, 3],
  [Infinity, 2],
]; // the fewer lanes, the more room for names
const MOST_ROWS = 9;
const MOST_TRACKS = 4;

// Gives lanes with `top`, `height`, `rows`, and their items in order of time with `row` set on each.
function layOut(left) {
  const byLane = new Map();
  const laneOf = (number) => {
    if (!byLane.has(number))
      byLane.set(number, { number, exchanges: [], alone: [], polls: [], sockets: [], steps: [] });
    return byLane.get(number);
  };
  for (const kind of ["exchanges", "alone", "polls", "sockets", "steps"]) {
    for (const item of left[kind]) laneOf(item.lane)[kind].push(item);
  }
  const made = [...byLane.values()].sort((one, other) => one.number - other.number);
  let top = 0;
  for (const lane of made) {
    place(lane, made.length);
    lane.top = top;
    top += lane.height;
  }
  return { lanes: made, height: top };
}

function place(lane, together) {
  const fewest = Math.min(FEWEST_ROWS.find(([most]) => together <= most)[1], lane.exchanges.length);
  lane.rows = Math.max(1, intoRows(lane.exchanges, fewest, MOST_ROWS));
  const held = [...lane.polls, ...lane.sockets].sort((one, other) => one.at - other.at);
  lane.tracks = intoRows(held, 0, MOST_TRACKS);
  lane.held = held;
  lane.tellAt = TOP + lane.rows * ROW + TELL - 8;
  lane.heldAt = lane.tellAt + 9;
  lane.height = lane.heldAt + Math.max(lane.tracks, 1) * TRACK + BOTTOM;
  for (const kind of ["exchanges", "alone", "held", "steps"]) lane[`${kind}Reach`] = reach(lane[kind]);
}

// The row that has rested longest takes the next item, so that neighbours stand below one another and have room for
// their names. Each item learns which one comes `after` it in its row.
function intoRows(sorted, fewest, most) {
  const rows = Array.from({ length: fewest }, () => ({ begun: -Infinity, free: -Infinity, last: null }));
  for (const item of sorted) {
    let row = rows.filter((one) => one.free <= item.at).sort((one, other) => one.begun - other.begun)[0];
    if (!row && rows.length < most) rows.push((row = { begun: 0, free: 0, last: null }));
    if (!row) row = rows.reduce((one, other) => (one.free <= other.free ? one : other));
    if (row.last) row.last.after = item;
    item.row = rows.indexOf(row);
    item.after = null;
    Object.assign(row, { begun: item.at, free: Math.max(row.free, item.end), last: item });
  }
  return rows.length;
}

// For each place the latest end so far: what begins before the window may still reach into it.
function reach(sorted) {
  let latest = -Infinity;
  return sorted.map((item) => (latest = Math.max(latest, item.end)));
}

// The items that touch a window of time, as a range of places in a list that is in order of time.
function within(sorted, latest, start, end) {
  return [firstWhere(latest, (value) => value >= start), firstWhere(sorted, (item) => item.at > end)];
}

function firstWhere(list, holds) {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (holds(list[middle])) high = middle;
    else low = middle + 1;
  }
  return low;
}
