// Choosing: which item the details are of, and which one lights up under the pointer.

let chosen = null;
let lit = null;

function pick(item, told = null) {
  chosen = item ? item.id : null;
  if (item) reveal(item);
  redraw();
  for (const listen of listeners.chosen) listen(item, told);
}

// In order of time, whatever the lane: what the arrow keys walk through.
function ordered() {
  return [...left.exchanges, ...left.alone].sort((one, other) => one.at - other.at);
}

function chooseNext(direction) {
  const all = ordered();
  if (!all.length) return;
  const place = all.findIndex((item) => item.id === chosen);
  if (place >= 0) pick(all[Math.min(Math.max(place + direction, 0), all.length - 1)]);
  else if (direction > 0) pick(all.find((item) => item.at >= view.start) ?? all[0]);
  else pick(all[all.length - 1]);
}

function chooseLane(direction) {
  const item = items.get(chosen);
  const place = layout.lanes.findIndex((lane) => lane.number === item?.lane);
  const lane = layout.lanes[Math.min(Math.max(place + direction, 0), layout.lanes.length - 1)];
  if (!lane || !item) return chooseNext(1);
  const away = (other) => Math.abs(other.at - item.at);
  const near = lane.exchanges.concat(lane.alone);
  if (near.length) pick(near.reduce((one, other) => (away(one) <= away(other) ? one : other)));
  return undefined;
}

function light(id) {
  if (id === lit) return;
  lit = id;
  markItems();
}

function markItems() {
  for (const each of stage.querySelectorAll("[data-item]")) {
    each.classList.toggle("lit", each.dataset.item === lit);
    each.classList.toggle("chosen", each.dataset.item === chosen);
    if (each.id) each.setAttribute("aria-selected", each.id === chosen);
  }
  const there = chosen && byId(chosen);
  if (there) stage.setAttribute("aria-activedescendant", chosen);
  else stage.removeAttribute("aria-activedescendant");
}
