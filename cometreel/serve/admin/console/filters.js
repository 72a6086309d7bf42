// The filters of the journal: their fields, and the choices that come with what is asked.

import { byId, element } from "./elements.js";

const CHOICES = ["operation", "owner_type", "session", "outcome"];

export class Filters {
  #counts = new Map();

  constructor(journal, changed) {
    this.journal = journal;
    const form = byId("filters");
    form.addEventListener("submit", (event) => event.preventDefault());
    for (const kind of ["input", "change"]) form.addEventListener(kind, () => changed());
    form.addEventListener("reset", () => setTimeout(changed)); // the fields are empty only after the event
    for (const name of CHOICES) this.#fill(name, []);
  }

  get values() {
    const text = byId("filter-text").value.trim().toLowerCase();
    return { text, ...Object.fromEntries(CHOICES.map((name) => [name, byId(`filter-${name}`).value])) };
  }

  // Lays the choices out anew, where there are more of them than before.
  renew() {
    for (const name of CHOICES) {
      const values = this.journal.values[name];
      if (this.#counts.get(name) === values.size) continue;
      const keys = [...values.keys()];
      this.#fill(name, name === "session" ? keys.map((key) => [key, `${key} ${values.get(key) ?? ""}`.trim()]) : keys.sort().map((key) => [key, key]));
    }
  }

  choose(name, value) {
    for (const other of CHOICES) byId(`filter-${other}`).value = "";
    byId("filter-text").value = "";
    this.renew();
    byId(`filter-${name}`).value = value;
  }

  #fill(name, entries) {
    const select = byId(`filter-${name}`);
    const { value } = select;
    select.replaceChildren(element("option", { value: "" }, "all"), ...entries.map(([key, says]) => element("option", { value: key }, says)));
    select.value = entries.some(([key]) => key === value) ? value : "";
    this.#counts.set(name, entries.length);
  }
}
