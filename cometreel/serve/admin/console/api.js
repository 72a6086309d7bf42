// The admin API as docs/admin.md has it. The cookie that the server has set says who asks.

const ROOT = "/__reel__/";

// Asks, and gives {value} or {problems: [text, …]}.
export async function ask(method, path, body) {
  const options = { method, headers: { Accept: "application/json" } };
  if (body !== undefined) options.body = typeof body === "string" ? body : JSON.stringify(body);
  try {
    const reply = await fetch(ROOT + path, options);
    const text = await reply.text();
    if (!reply.ok) return { status: reply.status, problems: problemsIn(text) };
    const json = (reply.headers.get("content-type") ?? "").startsWith("application/json");
    return { value: json ? JSON.parse(text) : text };
  } catch {
    return { problems: ["The server doesn't answer."] };
  }
}

function problemsIn(text) {
  try {
    return JSON.parse(text).problems.map((problem) => problem.text);
  } catch {
    return ["The server refuses it."];
  }
}

export const streamOf = (since) => new EventSource(`${ROOT}events?glance=1&since=${since}`);
