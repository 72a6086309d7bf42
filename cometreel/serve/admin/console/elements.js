// Creates elements from names and text. The page never parses markup.

export const byId = (id) => document.getElementById(id);

export function element(name, attributes = {}, ...children) {
  const created = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === "function") created.addEventListener(key, value);
    else if (value !== undefined && value !== null && value !== false) created.setAttribute(key, value);
  }
  created.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== ""));
  return created;
}

export function button(text, onClick, attributes = {}) {
  return element("button", { type: "button", click: onClick, ...attributes }, text);
}

export function pairs(entries) {
  const list = element("dl", { class: "pairs" });
  for (const [name, value] of entries) {
    if (value !== null && value !== undefined && value !== "") {
      list.append(element("dt", {}, name), element("dd", {}, value));
    }
  }
  return list;
}

// Announces a text to screen readers.
export function announce(text) {
  byId("announcement").textContent = text;
}

// Shows a problem; an empty text hides it.
export function showProblem(output, text, field = null) {
  output.textContent = text;
  output.hidden = !text;
  if (field) field.setAttribute("aria-invalid", text ? "true" : "false");
}
