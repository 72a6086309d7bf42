// The head of the page: scenario, connection, numbers, speed, reset, theme.

import { send } from "./api.js";
import { announce, byId, element, showProblem } from "./elements.js";

const STATES = {
  connected: ["live", "live"],
  waiting: ["waiting", "the server does not answer, retrying…"],
  refused: ["refused", "the server has a new token: open the address that it printed"],
};
const NUMBERS = [
  ["sessions", "sessions"],
  ["held_polls", "held polls"],
  ["calls", "calls"],
  ["unmatched", "unmatched"],
  ["unplayed", "unplayed"],
  ["given_up", "given up"],
  ["faults", "faults"],
];

export function startHead(onRestart) {
  byId("speed-form").addEventListener("submit", (event) => {
    event.preventDefault();
    setSpeed();
  });
  const dialog = byId("reset-dialog");
  byId("reset").addEventListener("click", () => dialog.showModal());
  byId("reset-no").addEventListener("click", () => dialog.close());
  byId("reset-yes").addEventListener("click", async () => {
    dialog.close();
    const { problems } = await send("POST", "reset");
    if (!problems) onRestart();
    announce(problems ? problems.join(" ") : "Restarted.");
  });
  startTheme();
}

export function showState(state) {
  const [kind, label] = STATES[state];
  byId("connection").className = `pill ${kind}`;
  byId("connection-text").textContent = label;
  document.body.classList.toggle("offline", state !== "connected");
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
    for (const [name, label] of NUMBERS) place.append(element("div", { id: `number-${name}` }, element("dt", {}, label), element("dd")));
  }
  for (const [name] of NUMBERS) {
    const figure = byId(`number-${name}`);
    figure.lastChild.textContent = overview[name].toLocaleString("en");
    figure.classList.toggle("warning", overview[name] > 0 && (name === "unmatched" || name === "given_up"));
  }
  byId("badge-unmatched").textContent = overview.unmatched || "";
  byId("badge-given_up").textContent = overview.given_up || "";
}

async function setSpeed() {
  const field = byId("speed");
  const speed = Number(field.value.trim().replace(",", ".") || NaN);
  if (Number.isNaN(speed)) return showProblem(byId("speed-problem"), "Enter a number, 0 or more.", field);
  const { problems } = await send("PUT", "speed", { speed });
  showProblem(byId("speed-problem"), (problems ?? []).join(" ").replace(/^speed: /, ""), field);
  if (!problems) announce(`The speed is ${speed}.`);
}

// The theme of the system, or the one that was chosen in this browser.
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
