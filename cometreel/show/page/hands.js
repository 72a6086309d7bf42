// Hands: what pointers and wheels do in the timeline. Keys are in main.js.

function itemUnder(event) {
  const found = event.target.closest?.("[data-item]");
  return found ? [items.get(found.dataset.item), found.dataset.told ?? null] : [null, null];
}

function startDragging() {
  let from = null;
  stage.addEventListener("pointerdown", (event) => {
    if (event.button === 0) from = { x: event.clientX, start: view.start, far: false };
  });
  stage.addEventListener("pointermove", (event) => {
    if (!from) return;
    const distance = event.clientX - from.x;
    if (!from.far && Math.abs(distance) > 4) {
      from.far = true;
      stage.setPointerCapture(event.pointerId);
      stage.classList.add("dragged");
    }
    if (from.far) lookAt(from.start - (distance / scaleOf().plot) * view.span, view.span);
  });
  const end = (event) => {
    if (from && !from.far && event.type === "pointerup") {
      const [item, told] = itemUnder(event);
      pick(item, told);
    }
    from = null;
    stage.classList.remove("dragged");
  };
  stage.addEventListener("pointerup", end);
  stage.addEventListener("pointercancel", end);
}

function turned(event) {
  const across = event.shiftKey ? event.deltaY : event.deltaX;
  if (event.ctrlKey || event.metaKey) {
    const at =
      view.start + ((event.clientX - stage.getBoundingClientRect().left - GUTTER) / scaleOf().plot) * view.span;
    zoom(Math.exp(Math.max(-60, Math.min(60, event.deltaY)) / 120), at, false);
  } else if (Math.abs(across) > (event.shiftKey ? 0 : Math.abs(event.deltaY))) {
    lookAt(view.start + (across / scaleOf().plot) * view.span, view.span);
  } else {
    return;
  }
  event.preventDefault();
}

function startTimeline() {
  startDragging();
  stage.addEventListener("wheel", turned, { passive: false });
  viewport.addEventListener("scroll", redraw);
  new ResizeObserver(redraw).observe(viewport);
  byId("zoom-in").addEventListener("click", () => zoom(0.5));
  byId("zoom-out").addEventListener("click", () => zoom(2));
  byId("zoom-fit").addEventListener("click", showAll);
}
