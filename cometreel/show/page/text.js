// Text: durations, moments and pretty JSON. Makes strings and lists of words; touches no element.

const MANY_CHARACTERS = 200000;
const WORDS = /"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*|true|false|null|[{}[\],:]/g;

function duration(seconds) {
  const milliseconds = seconds * 1000;
  if (milliseconds < 10) return `${Number(milliseconds.toFixed(1))} ms`;
  if (milliseconds < 999.5) return `${Math.round(milliseconds)} ms`;
  if (seconds < 9.995) return `${seconds.toFixed(2)} s`;
  if (seconds < 120) return `${Number(seconds.toFixed(1))} s`;
  return `${moment(seconds, 60)} ${seconds < 3600 ? "min" : "h"}`;
}

// A place on the time axis; in milliseconds where the `whole` of it is shorter than a second.
function moment(seconds, step, whole = 60) {
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

// As much of a text as has room; `widthOf` measures. Nothing rather than a letter or two.
function shortened(text, pixels, widthOf) {
  if (widthOf(text) <= pixels) return text;
  let room = Math.floor((pixels / widthOf(text)) * text.length);
  while (room > 3 && widthOf(`${text.slice(0, room)}…`) > pixels) room -= 1;
  return room > 3 ? `${text.slice(0, room).trimEnd()}…` : "";
}

// Lays out JSON by its own words, so that numbers and the order of keys stay as they were written.
// Gives [class, text] pairs; the class is empty for punctuation and space.
function prettyWords(json) {
  const made = [];
  let depth = 0;
  const line = () => made.push(["", `\n${"  ".repeat(depth)}`]);
  const words = json.slice(0, MANY_CHARACTERS).match(WORDS) ?? [];
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
      made.push([kindOfWord(word, next), word]);
    }
  });
  if (json.length > MANY_CHARACTERS) made.push(["", `\n… ${json.length - MANY_CHARACTERS} more characters`]);
  return made;
}

function kindOfWord(word, next) {
  if (word.startsWith('"')) return next === ":" ? "key" : "string";
  return /^[tfn]/.test(word) ? "word" : "number";
}
