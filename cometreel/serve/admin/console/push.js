// The form that sends a notification.

import { send } from "./api.js";
import { byId, showProblem } from "./elements.js";
import { showProblems, wholeNumber } from "./forms.js";
import { jsonProblem } from "./json.js";

const FIELDS = ["channel", "data", "session", "user"];

export function startPush() {
  const data = byId("push-data");
  data.addEventListener("input", () => showProblem(byId("push-data-problem"), jsonProblem(data.value), data));
  for (const name of ["session", "user"]) {
    byId(`push-${name}`).addEventListener("focus", () => selectRecipients(name));
  }
  byId("push-form").addEventListener("submit", (event) => {
    event.preventDefault();
    push();
  });
}

export function pushToSession(session) {
  selectRecipients("session");
  byId("push-session").value = session;
  byId("push-channel").focus();
}

function selectRecipients(name) {
  document.querySelector(`#push-form [name=to][value=${name}]`).checked = true;
}

async function push() {
  const { message, problems } = messageInForm();
  byId("push-done").textContent = "";
  showProblems("push", FIELDS, problems, "push-problem");
  if (problems.length) return;
  const answer = await send("POST", "push", message);
  showProblems("push", FIELDS, answer.problems ?? [], "push-problem");
  if (answer.value) byId("push-done").textContent = resultText(answer.value.sessions);
}

function messageInForm() {
  const to = document.querySelector("#push-form [name=to]:checked").value;
  const message = { channel: byId("push-channel").value.trim(), data: null };
  const problems = [];
  const wrong = jsonProblem(byId("push-data").value);
  if (wrong) problems.push(`data: ${wrong}`);
  else message.data = JSON.parse(byId("push-data").value);
  if (to === "session") {
    message.session = wholeNumber(byId("push-session").value);
    if (message.session === null) problems.push("session: enter the number of a session");
  }
  if (to === "user") message.user = byId("push-user").value;
  return { message, problems };
}

function resultText(sessions) {
  if (sessions.length === 0) return "Not sent: there are no sessions.";
  const some = sessions.slice(0, 10).join(", ") + (sessions.length > 10 ? ", …" : "");
  return sessions.length === 1 ? `Sent to session ${some}.` : `Sent to ${sessions.length} sessions: ${some}.`;
}
