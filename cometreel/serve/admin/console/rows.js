// The rows of the journal. Only visible rows are drawn; the list follows the latest call while its end is visible.

import { byId, element } from "./elements.js";
import { outcomeOf } from "./journal.js";

const HEIGHT = 32; // same as in page.css
const NARROW = matchMedia("(max-width: 1100px)"); // same as in page.css: the call is below the journal
const SPARE = 8; // additional rows above and below, so that fast scrolling shows no gap

export class Rows {
  #list = byId("rows");
  #space = byId("space");
  #drawn = new Map();
  #waiting = false;
  #follows = true;
  #chosen = null;
  #scrolledTo = 0;

  constructor(journal, chosen) {
    this.journal = journal;
    this.choose = chosen;
    this.#list.addEventListener("scroll", () => this.#onScroll());
    this.#list.addEventListener("keydown", (event) => this.#onKeydown(event));
    this.#list.addEventListener("click", (event) => this.#onClick(event));
    new ResizeObserver(() => this.draw()).observe(this.#list);
    byId("follow").addEventListener("click", () => this.follow());
  }

  // Schedules a draw, at most one per frame.
  draw() {
    if (this.#waiting) return;
    this.#waiting = true;
    requestAnimationFrame(() => {
      this.#waiting = false;
      this.#draw();
    });
  }

  // Draws all rows again.
  redraw() {
    for (const row of this.#drawn.values()) row.remove();
    this.#drawn.clear();
    this.draw();
  }

  follow() {
    this.#follows = true;
    this.draw();
  }

  stay() {
    this.#follows = false;
  }

  // Keeps the visible rows in place after rows at the top were dropped.
  shift(count) {
    if (!count) return;
    if (!this.#follows) this.#list.scrollTop -= count * HEIGHT;
    this.redraw();
  }

  select(number) {
    this.#chosen = number;
    for (const row of this.#drawn.values()) this.#mark(row);
  }

  show(number) {
    const index = this.journal.shown.findIndex((call) => call.number === number);
    if (index === -1) return;
    const top = index * HEIGHT;
    const { scrollTop, clientHeight } = this.#list;
    if (top < scrollTop || top + HEIGHT > scrollTop + clientHeight) {
      this.#follows = false;
      this.#list.scrollTop = Math.max(0, top - clientHeight / 2);
    }
    this.draw();
  }

  #draw() {
    const { shown } = this.journal;
    this.#space.style.height = `${shown.length * HEIGHT}px`;
    if (this.#follows) this.#list.scrollTop = shown.length * HEIGHT;
    this.#scrolledTo = this.#list.scrollTop;
    const first = Math.max(0, Math.floor(this.#list.scrollTop / HEIGHT) - SPARE);
    const last = Math.min(shown.length, Math.ceil((this.#list.scrollTop + this.#list.clientHeight) / HEIGHT) + SPARE);
    for (const [index, row] of this.#drawn) {
      if (index < first || index >= last) {
        row.remove();
        this.#drawn.delete(index);
      }
    }
    for (let index = first; index < last; index++) {
      if (!this.#drawn.has(index)) this.#drawn.set(index, this.#space.appendChild(this.#row(shown[index], index)));
    }
    byId("follow").hidden = this.#follows || shown.length === 0;
  }

  #row(call, index) {
    const row = call.gap ? gapRow(call) : callRow(call);
    row.dataset.index = index;
    row.dataset.number = call.number;
    row.style.top = `${index * HEIGHT}px`;
    row.setAttribute("aria-posinset", index + 1);
    row.setAttribute("aria-setsize", -1);
    this.#mark(row);
    return row;
  }

  #mark(row) {
    const chosen = Number(row.dataset.number) === this.#chosen;
    row.setAttribute("aria-selected", chosen);
    if (chosen) this.#list.setAttribute("aria-activedescendant", row.id);
  }

  #onScroll() {
    const { scrollTop, clientHeight, scrollHeight } = this.#list;
    if (scrollTop < this.#scrolledTo) this.#follows = false;
    if (scrollTop + clientHeight >= scrollHeight - HEIGHT / 2) this.#follows = true;
    this.#scrolledTo = scrollTop;
    this.draw();
  }

  #onClick(event) {
    const row = event.target.closest(".row");
    if (row) this.#pick(Number(row.dataset.index));
    if (row && NARROW.matches) byId("panel-call").scrollIntoView({ block: "center" });
  }

  #onKeydown(event) {
    const { shown } = this.journal;
    const at = shown.findIndex((call) => call.number === this.#chosen);
    const page = Math.max(1, Math.floor(this.#list.clientHeight / HEIGHT) - 1);
    const steps = { ArrowDown: at + 1, ArrowUp: at === -1 ? shown.length - 1 : at - 1, PageDown: at + page, PageUp: at - page, Home: 0, End: shown.length - 1 };
    if (!(event.key in steps) || shown.length === 0) return;
    event.preventDefault();
    this.#pick(Math.min(shown.length - 1, Math.max(0, steps[event.key])));
  }

  #pick(index) {
    const call = this.journal.shown[index];
    if (!call || call.gap) return;
    this.choose(call);
    this.show(call.number);
  }
}

function gapRow(call) {
  return element("div", { class: "row gap", role: "option", id: `row-${call.number}` }, `${call.gap} calls arrived too fast to be shown`);
}

function callRow(call) {
  const outcome = outcomeOf(call);
  return element(
    "div",
    { class: `row ${outcome}`, role: "option", id: `row-${call.number}` },
    element("span", { class: "number" }, String(call.number)),
    element("span", { class: "time" }, timeOf(call.at).slice(0, -4), element("span", { class: "ms" }, timeOf(call.at).slice(-4))),
    element("span", { class: "session-label" }, sessionLabel(call)),
    element("span", { class: "request" }, element("b", { class: `method ${call.method}` }, call.method), " ", ...requestCells(call)),
    element("span", { class: "answered" }, outcome === "played" ? call.exchange : call.outcome),
    element("span", { class: "status" }, call.status === null ? "" : String(call.status)),
  );
}

function requestCells(call) {
  const about = [call.operation, call.owner_type, call.owner].filter(Boolean).join(" ");
  return [about ? element("span", { class: "about" }, about) : null, " ", element("span", { class: "target" }, call.target)];
}

export const sessionLabel = (call) => `${call.session}${call.user ? ` ${call.user}` : ""}`;

export function timeOf(moment) {
  const time = new Date(moment);
  const two = (number, width = 2) => String(number).padStart(width, "0");
  return `${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}.${two(time.getMilliseconds(), 3)}`;
}
