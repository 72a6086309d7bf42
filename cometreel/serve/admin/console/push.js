// A notification by hand.

import { ask } from "./api.js";
import { byId, complain } from "./elements.js";
import { showProblems, wholeNumber } from "./forms.js";
import { jsonProblem } from "./json.js";

const FIELDS = ["channel", "data", "session", "user"];

export function startPush() {
  const data = byId("push-data");
  data.addEventListener("input", () => complain(byId("push-data-problem"), jsonProblem(data.value), data));
  for (const name of ["session", "user"]) {
    byId(`push-${name}`).addEventListener("focus", () => aim(name));
  }
  byId("push-form").addEventListener("submit", (event) => {
    event.preventDefault();
    push();
  });
}

export function aimAt(session) {
  aim("session");
  byId("push-session").value = session;
  byId("push-channel").focus();
}

function aim(name) {
  document.querySelector(`#push-form [name=to][value=${name}]`).checked = true;
}

async function push() {
  const { message, problems } = written();
  byId("push-done").textContent = "";
  showProblems("push", FIELDS, problems, "push-problem");
  if (problems.length) return;
  const answer = await ask("POST", "push", message);
  showProblems("push", FIELDS, answer.problems ?? [], "push-problem");
  if (answer.value) byId("push-done").textContent = toldTo(answer.value.sessions);
}

function written() {
  const to = document.querySelector("#push-form [name=to]:checked").value;
  const message = { channel: byId("push-channel").value.trim(), data: null };
  const problems = [];
  const wrong = jsonProblem(byId("push-data").value);
  if (wrong) problems.push(`data: ${wrong}`);
  else message.data = JSON.parse(byId("push-data").value);
  if (to === "session") {
    message.session = wholeNumber(byId("push-session").value);
    if (message.session === null) problems.push("session: The number of a session is wanted.");
  }
  if (to === "user") message.user = byId("push-user").value;
  return { message, problems };
}

function toldTo(sessions) {
  if (sessions.length === 0) return "Sent to nobody: no session is live.";
  const some = sessions.slice(0, 10).join(", ") + (sessions.length > 10 ? ", …" : "");
  return sessions.length === 1 ? `Sent to session ${some}.` : `Sent to ${sessions.length} sessions: ${some}.`;
}
