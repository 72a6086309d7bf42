// JSON as people read it: indented, and each kind of word in its colour.

import { element } from "./elements.js";

const WORD = /("(?:[^"\\]|\\.)*")(\s*:)?|-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?|true|false|null/g;
const LONGEST = 100_000; // beyond that many characters colours cost more than they tell

export function pretty(value) {
  const text = typeof value === "string" ? value : JSON.stringify(value, null, 2);
  const block = element("pre", { tabindex: "0" });
  if (typeof value === "string" || text.length > LONGEST) block.textContent = text;
  else block.append(...words(text));
  return block;
}

function* words(text) {
  let done = 0;
  for (const found of text.matchAll(WORD)) {
    if (found.index > done) yield text.slice(done, found.index);
    const [word, string, colon] = found;
    const kind = string ? (colon ? "key" : "string") : /[a-z]$/.test(word) ? "word" : "number";
    yield element("span", { class: kind }, string ?? word);
    if (colon) yield colon;
    done = found.index + word.length;
  }
  yield text.slice(done);
}

// Why a text isn't JSON, in one line; empty if it is.
export function jsonProblem(text) {
  try {
    JSON.parse(text);
    return "";
  } catch (error) {
    return text.trim() ? `It isn't JSON: ${error.message}` : "Some JSON is wanted, null at least.";
  }
}
