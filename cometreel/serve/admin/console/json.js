// Formats JSON: indented and coloured.

import { element } from "./elements.js";

const TOKEN = /("(?:[^"\\]|\\.)*")(\s*:)?|-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?|true|false|null/g;
const LONGEST = 100_000; // characters; longer texts are not coloured

export function pretty(value) {
  const text = typeof value === "string" ? value : JSON.stringify(value, null, 2);
  const block = element("pre", { tabindex: "0" });
  if (typeof value === "string" || text.length > LONGEST) block.textContent = text;
  else block.append(...tokens(text));
  return block;
}

function* tokens(text) {
  let done = 0;
  for (const found of text.matchAll(TOKEN)) {
    if (found.index > done) yield text.slice(done, found.index);
    const [word, string, colon] = found;
    const kind = string ? (colon ? "key" : "string") : /[a-z]$/.test(word) ? "word" : "number";
    yield element("span", { class: kind }, string ?? word);
    if (colon) yield colon;
    done = found.index + word.length;
  }
  yield text.slice(done);
}

// Returns why a text is not JSON, or an empty text.
export function jsonProblem(text) {
  try {
    JSON.parse(text);
    return "";
  } catch (error) {
    return text.trim() ? `This is not JSON: ${error.message}` : "Enter JSON, for example null.";
  }
}
