// The manual clock: shows the time of the replay, advances, freezes and resumes it. Hidden for the real clock.

import { send } from "./api.js";
import { announce, byId, showProblem } from "./elements.js";

let frozen = true;

export function startClock() {
  byId("clock-form").addEventListener("submit", (event) => {
    event.preventDefault();
    advance();
  });
  byId("clock-run").addEventListener("click", async () => {
    const { value, problems } = await send("POST", frozen ? "clock/resume" : "clock/freeze");
    if (problems) return showProblem(byId("clock-problem"), problems.join(" "), byId("clock-by"));
    showClock(value);
    announce(value.frozen ? "The clock is frozen." : "The clock runs.");
  });
}

export function showClock(clock) {
  frozen = clock.frozen;
  byId("clock-form").hidden = false;
  byId("clock-now").dateTime = clock.now;
  byId("clock-now").textContent = clock.now.slice(0, 19).replace("T", " ");
  byId("clock-run").textContent = frozen ? "Resume" : "Freeze";
}

async function advance() {
  const field = byId("clock-by");
  byId("clock-advance").disabled = true;
  const { value, problems } = await send("POST", "clock/advance", { by: field.value.trim() });
  byId("clock-advance").disabled = false;
  showProblem(byId("clock-problem"), (problems ?? []).join(" ").replace(/^advance: /, ""), field);
  if (problems) return;
  showClock(value);
  announce(`Advanced: ${value.notifications} notifications, ${value.polls_timed_out} polls timed out, ${value.sessions_expired} sessions expired.`);
}
