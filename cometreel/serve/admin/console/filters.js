// The filters of the journal: their fields, and their options, which depend on the calls.

import { byId, element } from "./elements.js";

const SELECTS = ["operation", "owner_type", "session", "outcome"];

export class Filters {
  #counts = new Map();

  constructor(journal, changed) {
    this.journal = journal;
    const form = byId("filters");
    form.addEventListener("submit", (event) => event.preventDefault());
    for (const kind of ["input", "change"]) form.addEventListener(kind, () => changed());
    form.addEventListener("reset", () => setTimeout(changed)); // the fields are empty only after the event
    for (const name of SELECTS) this.#fill(name, []);
  }

  get values() {
    const text = byId("filter-text").value.trim().toLowerCase();
    return { text, ...Object.fromEntries(SELECTS.map((name) => [name, byId(`filter-${name}`).value])) };
  }

  // Updates the options if there are more values than before.
  updateOptions() {
    for (const name of SELECTS) {
      const values = this.journal.values[name];
      if (this.#counts.get(name) === values.size) continue;
      const keys = [...values.keys()];
      this.#fill(name, name === "session" ? keys.map((key) => [key, `${key} ${values.get(key) ?? ""}`.trim()]) : keys.sort().map((key) => [key, key]));
    }
  }

  choose(name, value) {
    for (const other of SELECTS) byId(`filter-${other}`).value = "";
    byId("filter-text").value = "";
    this.updateOptions();
    byId(`filter-${name}`).value = value;
  }

  #fill(name, entries) {
    const select = byId(`filter-${name}`);
    const { value } = select;
    select.replaceChildren(element("option", { value: "" }, "all"), ...entries.map(([key, label]) => element("option", { value: key }, label)));
    select.value = entries.some(([key]) => key === value) ? value : "";
    this.#counts.set(name, entries.length);
  }
}
