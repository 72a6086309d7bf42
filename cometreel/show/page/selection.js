// Selection: the item shown in the details, and the highlighted item under the pointer.

let selected = null;
let highlighted = null;

function select(item, number = null) {
  selected = item ? item.id : null;
  if (item) reveal(item);
  redraw();
  for (const listen of listeners.selected) listen(item, number);
}

// All items that the arrow keys step through, ordered by time.
function ordered() {
  return [...left.exchanges, ...left.unsolicited].sort((one, other) => one.at - other.at);
}

function selectNext(direction) {
  const all = ordered();
  if (!all.length) return;
  const place = all.findIndex((item) => item.id === selected);
  if (place >= 0) select(all[Math.min(Math.max(place + direction, 0), all.length - 1)]);
  else if (direction > 0) select(all.find((item) => item.at >= view.start) ?? all[0]);
  else select(all[all.length - 1]);
}

function selectLane(direction) {
  const item = items.get(selected);
  const place = layout.lanes.findIndex((lane) => lane.number === item?.lane);
  const lane = layout.lanes[Math.min(Math.max(place + direction, 0), layout.lanes.length - 1)];
  if (!lane || !item) return selectNext(1);
  const distance = (other) => Math.abs(other.at - item.at);
  const near = lane.exchanges.concat(lane.unsolicited);
  if (near.length) select(near.reduce((one, other) => (distance(one) <= distance(other) ? one : other)));
  return undefined;
}

function highlight(id) {
  if (id === highlighted) return;
  highlighted = id;
  updateClasses();
}

function updateClasses() {
  for (const each of timeline.querySelectorAll("[data-item]")) {
    each.classList.toggle("highlighted", each.dataset.item === highlighted);
    each.classList.toggle("selected", each.dataset.item === selected);
    if (each.id) each.setAttribute("aria-selected", each.id === selected);
  }
  if (selected && byId(selected)) timeline.setAttribute("aria-activedescendant", selected);
  else timeline.removeAttribute("aria-activedescendant");
}
