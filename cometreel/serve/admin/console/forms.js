// Shared by the forms: shows each problem at its field.

import { byId, showProblem } from "./elements.js";

// Shows problems (`channel: text`) at the fields that they name, others at the end of the form.
export function showProblems(prefix, fields, problems, end) {
  const known = fields.filter((name) => byId(`${prefix}-${name}-problem`));
  for (const name of known) showProblem(byId(`${prefix}-${name}-problem`), "", byId(`${prefix}-${name}`));
  showProblem(byId(end), "");
  const rest = [];
  for (const text of problems) {
    const [, name, message] = /^([\w-]+): (.*)$/s.exec(text.replace(`${prefix}: `, "")) ?? [];
    if (known.includes(name)) {
      const output = byId(`${prefix}-${name}-problem`);
      showProblem(output, output.hidden ? message : `${output.textContent} ${message}`, byId(`${prefix}-${name}`));
    } else rest.push(text);
  }
  showProblem(byId(end), rest.join("\n"));
  document.querySelector(`#${prefix}-form [aria-invalid=true]`)?.focus();
}

export const wholeNumber = (text) => (/^\d{1,15}$/.test(text.trim()) ? Number(text) : null);
