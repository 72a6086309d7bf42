// The stream of the server: what it tells goes to listeners, and a break is mended for as long as the page is open.

import { ask, streamOf } from "./api.js";

const PARTS = ["settings", "exchanges", "overview", "sessions", "unplayed", "faults"];
const PATIENCE = [500, 1000, 2000, 4000]; // milliseconds until the next attempt

export class Live {
  #heard = new Map();
  #since = 0;
  #run = null;
  #attempt = 0;
  #stream = null;
  #refused = false;

  // What is listened for: the parts, `call`, `run` (another one answers) and `state` (connected, waiting, refused).
  on(name, listener) {
    this.#heard.set(name, listener);
  }

  #tell(name, value) {
    this.#heard.get(name)?.(value);
  }

  connect() {
    const stream = (this.#stream = streamOf(this.#since));
    stream.addEventListener("open", () => {
      this.#attempt = 0;
      this.#refused = false;
      this.#tell("state", "connected");
    });
    stream.addEventListener("error", () => this.#mend(stream));
    stream.addEventListener("run", (event) => this.#greet(stream, JSON.parse(event.data).began));
    stream.addEventListener("call", (event) => {
      if (stream !== this.#stream) return;
      const call = JSON.parse(event.data);
      this.#since = call.number;
      this.#tell("call", call);
    });
    for (const part of PARTS) {
      stream.addEventListener(part, (event) => this.#tell(part, JSON.parse(event.data)));
    }
  }

  // Another run counts its calls from 1: ask it for all that it has.
  #greet(stream, began) {
    const another = this.#run !== null && this.#run !== began;
    this.#run = began;
    if (!another) return;
    this.#tell("run", began);
    stream.close();
    this.#since = 0;
    this.connect();
  }

  async #mend(stream) {
    if (stream !== this.#stream) return;
    stream.close();
    this.#stream = null;
    if (!this.#refused) this.#tell("state", "waiting");
    const wait = PATIENCE[Math.min(this.#attempt++, PATIENCE.length - 1)];
    await new Promise((done) => setTimeout(done, wait));
    const { status } = await ask("GET", "settings");
    this.#refused = status === 401 || status === 403;
    if (this.#refused) this.#tell("state", "refused");
    this.connect();
  }
}
