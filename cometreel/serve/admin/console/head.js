// The head of the page: what is played, whether the server is there, numbers, speed, begin anew, light or dark.

import { ask } from "./api.js";
import { byId, complain, element, speak } from "./elements.js";

const STATES = {
  connected: ["live", "live"],
  waiting: ["waiting", "the server is away, trying again…"],
  refused: ["refused", "this run has another token: open the address that it printed"],
};
const NUMBERS = [
  ["sessions", "sessions"],
  ["held_polls", "held polls"],
  ["calls", "calls"],
  ["unmatched", "unmatched"],
  ["unplayed", "unplayed"],
  ["faults", "faults"],
];

export function startHead(begunAnew) {
  byId("speed-form").addEventListener("submit", (event) => {
    event.preventDefault();
    setSpeed();
  });
  const dialog = byId("reset-dialog");
  byId("reset").addEventListener("click", () => dialog.showModal());
  byId("reset-no").addEventListener("click", () => dialog.close());
  byId("reset-yes").addEventListener("click", async () => {
    dialog.close();
    const { problems } = await ask("POST", "reset");
    if (!problems) begunAnew();
    speak(problems ? problems.join(" ") : "Begun anew.");
  });
  startTheme();
}

export function showState(state) {
  const [kind, says] = STATES[state];
  byId("connection").className = `pill ${kind}`;
  byId("connection-text").textContent = says;
  document.body.classList.toggle("away", state !== "connected");
}

export function showSettings({ scenario, speed, seed, repeat, unmatched, auth, node }) {
  const names = scenario.files.map((file) => file.split("/").pop()).join(", ");
  byId("title").textContent = scenario.title || names || "Cometreel";
  document.title = `${scenario.title || names} · Cometreel`;
  const facts = [names, `${scenario.exchanges} exchanges`, `repeat ${repeat}`, `unmatched ${unmatched}`, `auth ${auth}`];
  if (seed !== null) facts.push(`seed ${seed}`);
  if (node !== null) facts.push(`node ${node}`);
  byId("facts").textContent = facts.join(" · ");
  if (document.activeElement !== byId("speed")) byId("speed").value = String(speed);
}

export function showNumbers(overview) {
  const place = byId("numbers");
  if (!place.firstChild) {
    for (const [name, says] of NUMBERS) place.append(element("div", { id: `number-${name}` }, element("dt", {}, says), element("dd")));
  }
  for (const [name] of NUMBERS) {
    const figure = byId(`number-${name}`);
    figure.lastChild.textContent = overview[name].toLocaleString("en");
    figure.classList.toggle("alarm", overview[name] > 0 && name === "unmatched");
  }
  byId("badge-unmatched").textContent = overview.unmatched || "";
}

async function setSpeed() {
  const field = byId("speed");
  const speed = Number(field.value.trim().replace(",", ".") || NaN);
  if (Number.isNaN(speed)) return complain(byId("speed-problem"), "A number is wanted, 0 or more.", field);
  const { problems } = await ask("PUT", "speed", { speed });
  complain(byId("speed-problem"), (problems ?? []).join(" ").replace(/^speed: /, ""), field);
  if (!problems) speak(`The speed is ${speed}.`);
}

// What the system prefers, until the person chooses; the choice holds in this browser.
function startTheme() {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const chosen = () => localStorage.getItem("reel-theme") ?? (dark.matches ? "dark" : "light");
  const show = () => {
    document.documentElement.dataset.theme = chosen();
    byId("theme").setAttribute("aria-pressed", chosen() === "dark");
  };
  dark.addEventListener("change", show);
  byId("theme").addEventListener("click", () => {
    localStorage.setItem("reel-theme", chosen() === "dark" ? "light" : "dark");
    show();
  });
  show();
}
