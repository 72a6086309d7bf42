// Text: formats durations, times and JSON.

const MAX_CHARACTERS = 200000;
const TOKENS = /"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*|true|false|null|[{}[\],:]/g;

function duration(seconds) {
  const milliseconds = seconds * 1000;
  if (milliseconds < 10) return `${Number(milliseconds.toFixed(1))} ms`;
  if (milliseconds < 999.5) return `${Math.round(milliseconds)} ms`;
  if (seconds < 9.995) return `${seconds.toFixed(2)} s`;
  if (seconds < 120) return `${Number(seconds.toFixed(1))} s`;
  return `${timeLabel(seconds, 60)} ${seconds < 3600 ? "min" : "h"}`;
}

// Formats a time of the axis; in milliseconds if the `whole` axis is shorter than a second.
function timeLabel(seconds, step, whole = 60) {
  if (whole < 1) return `${Number((seconds * 1000).toFixed(3))} ms`;
  if (seconds < 60 && step < 60) {
    const digits = step >= 1 ? 0 : Math.min(6, Math.ceil(-Math.log10(step) - 1e-9));
    return `${seconds.toFixed(digits)} s`;
  }
  const full = Math.floor(seconds + 1e-9);
  const pad = (number) => String(number).padStart(2, "0");
  const minutes = `${pad(Math.floor(full / 60) % 60)}:${pad(full % 60)}`;
  const hours = Math.floor(full / 3600);
  const part = step < 1 ? (seconds - full).toFixed(Math.ceil(-Math.log10(step) - 1e-9)).slice(1) : "";
  return (hours ? `${hours}:${minutes}` : minutes) + part;
}

function plural(number, name) {
  return `${number.toLocaleString("en")} ${name}${number === 1 ? "" : "s"}`;
}

// Shortens a text to a width; `widthOf` measures. Empty if fewer than four characters fit.
function shortened(text, pixels, widthOf) {
  if (widthOf(text) <= pixels) return text;
  let length = Math.floor((pixels / widthOf(text)) * text.length);
  while (length > 3 && widthOf(`${text.slice(0, length)}…`) > pixels) length -= 1;
  return length > 3 ? `${text.slice(0, length).trimEnd()}…` : "";
}

// Indents JSON token by token, so that numbers and the order of keys stay unchanged.
// Returns [class, text] pairs; the class is empty for punctuation and space.
function prettyTokens(json) {
  const made = [];
  let depth = 0;
  const line = () => made.push(["", `\n${"  ".repeat(depth)}`]);
  const words = json.slice(0, MAX_CHARACTERS).match(TOKENS) ?? [];
  words.forEach((word, place) => {
    const next = words[place + 1];
    if (word === "{" || word === "[") {
      made.push(["", word]);
      if (next !== "}" && next !== "]") {
        depth += 1;
        line();
      }
    } else if (word === "}" || word === "]") {
      if (words[place - 1] !== "{" && words[place - 1] !== "[") {
        depth -= 1;
        line();
      }
      made.push(["", word]);
    } else if (word === ",") {
      made.push(["", word]);
      line();
    } else if (word === ":") {
      made.push(["", ": "]);
    } else {
      made.push([kindOfToken(word, next), word]);
    }
  });
  if (json.length > MAX_CHARACTERS) made.push(["", `\n… ${json.length - MAX_CHARACTERS} more characters`]);
  return made;
}

function kindOfToken(word, next) {
  if (word.startsWith('"')) return next === ":" ? "key" : "string";
  return /^[tfn]/.test(word) ? "word" : "number";
}
