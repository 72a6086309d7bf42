// The overview: the number of exchanges over the whole time, with a frame around the visible range.

const overview = byId("overview");
const OVERVIEW_HEIGHT = 46;
let columnPaths = svgElement("g");

function overviewScale() {
  const plot = Math.max(50, overview.clientWidth - GUTTER);
  return {
    plot,
    x: (at) => GUTTER + ((at - bounds.start) / bounds.span) * plot,
    at: (x) => bounds.start + ((x - GUTTER) / plot) * bounds.span,
  };
}

function updateOverview() {
  const scale = overviewScale();
  const columns = Array.from({ length: Math.ceil(scale.plot / 3) + 1 }, () => [0, 0]);
  for (const exchange of left.exchanges) {
    const column = columns[Math.floor((scale.x(exchange.at) - GUTTER) / 3)];
    column[exchange.faults.length || (compared && exchange.state !== "same") ? 1 : 0] += 1;
  }
  const most = Math.max(1, ...columns.map(([fine, marked]) => fine + marked));
  const paths = ["", ""];
  columns.forEach(([fine, marked], number) => {
    const tall = (count) => (count ? Math.max(2, (count / most) * 30) : 0);
    const x = GUTTER + number * 3;
    const base = OVERVIEW_HEIGHT - 5;
    if (fine) paths[0] += `M${x} ${base}h2v${-tall(fine)}h-2z`;
    if (marked) paths[1] += `M${x} ${base - tall(fine)}h2v${-tall(marked)}h-2z`;
  });
  columnPaths = svgElement(
    "g",
    {},
    svgElement("path", { class: "dense", d: paths[0] }),
    svgElement("path", { class: compared ? "dense-changed" : "dense-fault", d: paths[1] }),
  );
  frame();
}

function frame() {
  const scale = overviewScale();
  const from = scale.x(view.start);
  const to = Math.max(from + 3, scale.x(view.start + view.span));
  overview.setAttribute("viewBox", `0 0 ${overview.clientWidth} ${OVERVIEW_HEIGHT}`);
  overview.replaceChildren(
    svgElement("text", { class: "axis-text", x: 15, y: 28 }, `all ${duration(conversation.seconds)}`),
    columnPaths,
    svgElement("rect", { class: "window", x: from, y: 2, width: to - from, height: OVERVIEW_HEIGHT - 4, rx: 4 }),
    svgElement("path", { class: "window-edge", d: `M${from} 3V${OVERVIEW_HEIGHT - 3}M${to} 3V${OVERVIEW_HEIGHT - 3}` }),
  );
}

function startOverview() {
  let held = false;
  const look = (event) => {
    const at = overviewScale().at(event.clientX - overview.getBoundingClientRect().left);
    setView(at - view.span / 2, view.span);
  };
  overview.addEventListener("pointerdown", (event) => {
    held = true;
    overview.setPointerCapture(event.pointerId);
    look(event);
  });
  overview.addEventListener("pointermove", (event) => held && look(event));
  overview.addEventListener("pointerup", () => (held = false));
  overview.addEventListener("pointercancel", () => (held = false));
  listeners.moved.push(frame);
  new ResizeObserver(updateOverview).observe(overview);
}
