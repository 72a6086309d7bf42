// The event stream of the server. Events go to listeners; a lost connection is restored while the page is open.

import { eventStream, send } from "./api.js";

const PARTS = ["settings", "clock", "exchanges", "overview", "sessions", "unplayed", "given_up", "faults"];
const RETRY_DELAYS = [500, 1000, 2000, 4000]; // milliseconds until the next attempt

export class Live {
  #listeners = new Map();
  #since = 0;
  #run = null;
  #attempt = 0;
  #stream = null;
  #refused = false;

  // Events: each of PARTS, `call`, `run` (the server process is a new one) and `state` (connected, waiting, refused).
  on(name, listener) {
    this.#listeners.set(name, listener);
  }

  #notify(name, value) {
    this.#listeners.get(name)?.(value);
  }

  connect() {
    const stream = (this.#stream = eventStream(this.#since));
    stream.addEventListener("open", () => {
      this.#attempt = 0;
      this.#refused = false;
      this.#notify("state", "connected");
    });
    stream.addEventListener("error", () => this.#reconnect(stream));
    stream.addEventListener("run", (event) => this.#compareRun(stream, JSON.parse(event.data).began));
    stream.addEventListener("call", (event) => {
      if (stream !== this.#stream) return;
      const call = JSON.parse(event.data);
      this.#since = call.number;
      this.#notify("call", call);
    });
    for (const part of PARTS) {
      stream.addEventListener(part, (event) => this.#notify(part, JSON.parse(event.data)));
    }
  }

  // After a restart of the server, calls are numbered from 1 again: load all of them.
  #compareRun(stream, began) {
    const restarted = this.#run !== null && this.#run !== began;
    this.#run = began;
    if (!restarted) return;
    this.#notify("run", began);
    stream.close();
    this.#since = 0;
    this.connect();
  }

  async #reconnect(stream) {
    if (stream !== this.#stream) return;
    stream.close();
    this.#stream = null;
    if (!this.#refused) this.#notify("state", "waiting");
    const wait = RETRY_DELAYS[Math.min(this.#attempt++, RETRY_DELAYS.length - 1)];
    await new Promise((done) => setTimeout(done, wait));
    const { status } = await send("GET", "settings");
    this.#refused = status === 401 || status === 403;
    if (this.#refused) this.#notify("state", "refused");
    this.connect();
  }
}
