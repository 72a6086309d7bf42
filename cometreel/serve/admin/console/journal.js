// The calls that the page has loaded, and those that match the filters.

const MAX_CALLS = 10_000;
const DROPPED = 1_000; // calls that are dropped together
const LONGEST = 20_000; // maximum of searched characters in a body

export class Journal {
  calls = [];
  shown = [];
  filters = {};
  values = { operation: new Set(), owner_type: new Set(), session: new Map(), outcome: new Set() };
  last = 0;

  // Adds a call; returns the number of rows that were dropped at the top.
  add(call) {
    if (this.last && call.number > this.last + 1) this.#append({ gap: call.number - this.last - 1, number: call.number - 0.5 });
    this.last = call.number;
    this.#collectValues(call);
    this.#append(call);
    return this.calls.length > MAX_CALLS ? this.#drop() : 0;
  }

  clear() {
    this.calls = [];
    this.shown = [];
    for (const values of Object.values(this.values)) values.clear();
    this.last = 0;
  }

  filter(filters) {
    this.filters = filters;
    this.shown = this.calls.filter((call) => this.#matches(call));
  }

  #append(call) {
    this.calls.push(call);
    if (this.#matches(call)) this.shown.push(call);
  }

  #collectValues(call) {
    if (call.operation) this.values.operation.add(call.operation);
    if (call.owner_type) this.values.owner_type.add(call.owner_type);
    this.values.session.set(String(call.session), call.user);
    this.values.outcome.add(outcomeOf(call));
  }

  #drop() {
    const first = this.calls[DROPPED].number;
    this.calls.splice(0, DROPPED);
    const gone = this.shown.findIndex((call) => call.number >= first);
    return this.shown.splice(0, gone === -1 ? this.shown.length : gone).length;
  }

  #matches(call) {
    const { text, operation, owner_type, session, outcome } = this.filters;
    if (call.gap) return !(text || operation || owner_type || session || outcome);
    return (
      (!operation || call.operation === operation) &&
      (!owner_type || call.owner_type === owner_type) &&
      (!session || String(call.session) === session) &&
      (!outcome || outcomeOf(call) === outcome) &&
      (!text || searchText(call).includes(text))
    );
  }
}

// The outcome without the details after its colon.
export const outcomeOf = (call) => call.outcome.split(":")[0];

const texts = new WeakMap();

function searchText(call) {
  if (!texts.has(call)) {
    const body = typeof call.body === "string" ? call.body : JSON.stringify(call.body ?? "");
    const parts = [call.method, call.target, call.exchange, call.user, call.role, call.outcome, body.slice(0, LONGEST)];
    texts.set(call, parts.join("\n").toLowerCase());
  }
  return texts.get(call);
}
