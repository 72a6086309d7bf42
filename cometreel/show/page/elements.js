// Elements: made by name, filled with text only. Nothing in this page ever parses markup.

const SVG = "http://www.w3.org/2000/svg";
const byId = (id) => document.getElementById(id);

function element(name, attributes = {}, ...children) {
  return filled(document.createElement(name), attributes, children);
}

function drawn(name, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, name), attributes, children);
}

function filled(made, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== null && value !== false) made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
  return made;
}

// Measures texts in the page's own font. Widths are kept, for the same names are measured in every frame.
function measuring(size, weight = 400) {
  const context = document.createElement("canvas").getContext("2d");
  const widths = new Map();
  return (text) => {
    if (!widths.has(text)) {
      if (widths.size > 5000) widths.clear();
      context.font = `${weight} ${size}px ${getComputedStyle(document.body).fontFamily}`;
      widths.set(text, context.measureText(text).width);
    }
    return widths.get(text);
  };
}

const labelWidth = measuring(11.5);
const nameWidth = measuring(12.5, 600);

function prettyBlock(json) {
  const words = prettyWords(json).map(([kind, text]) => (kind ? element("span", { class: kind }, text) : text));
  return element("pre", { tabindex: "0" }, ...words);
}

function pairsOf(pairs) {
  const list = element("dl", { class: "pairs" });
  for (const [name, value] of pairs) {
    if (value !== null) list.append(element("dt", {}, name), element("dd", {}, value));
  }
  return list;
}
