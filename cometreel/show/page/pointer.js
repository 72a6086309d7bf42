// Pointer and wheel input of the timeline. Keys are in main.js.

function itemAt(event) {
  const found = event.target.closest?.("[data-item]");
  return found ? [items.get(found.dataset.item), found.dataset.notification ?? null] : [null, null];
}

function listenForDragging() {
  let from = null;
  timeline.addEventListener("pointerdown", (event) => {
    if (event.button === 0) from = { x: event.clientX, start: view.start, far: false };
  });
  timeline.addEventListener("pointermove", (event) => {
    if (!from) return;
    const distance = event.clientX - from.x;
    if (!from.far && Math.abs(distance) > 4) {
      from.far = true;
      timeline.setPointerCapture(event.pointerId);
      timeline.classList.add("dragged");
    }
    if (from.far) setView(from.start - (distance / scaleOf().plot) * view.span, view.span);
  });
  const end = (event) => {
    if (from && !from.far && event.type === "pointerup") {
      const [item, number] = itemAt(event);
      select(item, number);
    }
    from = null;
    timeline.classList.remove("dragged");
  };
  timeline.addEventListener("pointerup", end);
  timeline.addEventListener("pointercancel", end);
}

function onWheel(event) {
  const across = event.shiftKey ? event.deltaY : event.deltaX;
  if (event.ctrlKey || event.metaKey) {
    const at =
      view.start + ((event.clientX - timeline.getBoundingClientRect().left - GUTTER) / scaleOf().plot) * view.span;
    zoom(Math.exp(Math.max(-60, Math.min(60, event.deltaY)) / 120), at, false);
  } else if (Math.abs(across) > (event.shiftKey ? 0 : Math.abs(event.deltaY))) {
    setView(view.start + (across / scaleOf().plot) * view.span, view.span);
  } else {
    return;
  }
  event.preventDefault();
}

function startTimeline() {
  listenForDragging();
  timeline.addEventListener("wheel", onWheel, { passive: false });
  viewport.addEventListener("scroll", redraw);
  new ResizeObserver(redraw).observe(viewport);
  byId("zoom-in").addEventListener("click", () => zoom(0.5));
  byId("zoom-out").addEventListener("click", () => zoom(2));
  byId("zoom-fit").addEventListener("click", showAll);
}
