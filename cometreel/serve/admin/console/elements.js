// Elements: made by name, filled with text only. Nothing of this page ever parses markup.

export const byId = (id) => document.getElementById(id);

export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(key, value);
    else if (value !== undefined && value !== null && value !== false) made.setAttribute(key, value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== ""));
  return made;
}

export function button(text, pressed, attributes = {}) {
  return element("button", { type: "button", click: pressed, ...attributes }, text);
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

// Tells those who listen to the page instead of looking at it.
export function speak(text) {
  byId("spoken").textContent = text;
}

// Shows problems at a place of their own; an empty text takes them away.
export function complain(output, text, field = null) {
  output.textContent = text;
  output.hidden = !text;
  if (field) field.setAttribute("aria-invalid", text ? "true" : "false");
}
