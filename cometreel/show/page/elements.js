// Creates elements and fills them with text. The page never parses markup.

const SVG = "http://www.w3.org/2000/svg";
const byId = (id) => document.getElementById(id);

function element(name, attributes = {}, ...children) {
  return withContent(document.createElement(name), attributes, children);
}

function svgElement(name, attributes = {}, ...children) {
  return withContent(document.createElementNS(SVG, name), attributes, children);
}

function withContent(created, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== null && value !== false) created.setAttribute(key, value);
  }
  created.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
  return created;
}

// Returns a function that measures text in the font of the page. Widths are cached, because names repeat.
function textMeasure(size, weight = 400) {
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

const labelWidth = textMeasure(11.5);
const nameWidth = textMeasure(12.5, 600);

function prettyBlock(json) {
  const words = prettyTokens(json).map(([kind, text]) => (kind ? element("span", { class: kind }, text) : text));
  return element("pre", { tabindex: "0" }, ...words);
}

function definitionList(pairs) {
  const list = element("dl", { class: "pairs" });
  for (const [name, value] of pairs) {
    if (value !== null) list.append(element("dt", {}, name), element("dd", {}, value));
  }
  return list;
}
