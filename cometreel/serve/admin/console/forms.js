// What the forms share: each problem at the field that it is about.

import { byId, complain } from "./elements.js";

// Shows problems (`channel: what is wrong`) at their fields, `NAME-problem` by `fields`, else at the end of the form.
export function showProblems(prefix, fields, problems, end) {
  const there = fields.filter((name) => byId(`${prefix}-${name}-problem`));
  for (const name of there) complain(byId(`${prefix}-${name}-problem`), "", byId(`${prefix}-${name}`));
  complain(byId(end), "");
  const rest = [];
  for (const text of problems) {
    const [, name, said] = /^([\w-]+): (.*)$/s.exec(text.replace(`${prefix}: `, "")) ?? [];
    if (there.includes(name)) {
      const output = byId(`${prefix}-${name}-problem`);
      complain(output, output.hidden ? said : `${output.textContent} ${said}`, byId(`${prefix}-${name}`));
    } else rest.push(text);
  }
  complain(byId(end), rest.join("\n"));
  document.querySelector(`#${prefix}-form [aria-invalid=true]`)?.focus();
}

export const wholeNumber = (text) => (/^\d{1,15}$/.test(text.trim()) ? Number(text) : null);
