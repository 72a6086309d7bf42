// Client of the admin API (docs/admin.md). A cookie of the server authenticates the requests.

const ROOT = "/__reel__/";

// Sends a request and returns {value} or {problems: [text, …]}.
export async function send(method, path, body) {
  const options = { method, headers: { Accept: "application/json" } };
  if (body !== undefined) options.body = typeof body === "string" ? body : JSON.stringify(body);
  try {
    const reply = await fetch(ROOT + path, options);
    const text = await reply.text();
    if (!reply.ok) return { status: reply.status, problems: problemsIn(text) };
    const json = (reply.headers.get("content-type") ?? "").startsWith("application/json");
    return { value: json ? JSON.parse(text) : text };
  } catch {
    return { problems: ["The server does not answer."] };
  }
}

function problemsIn(text) {
  try {
    return JSON.parse(text).problems.map((problem) => problem.text);
  } catch {
    return ["The server refused the request."];
  }
}

export const eventStream = (since) => new EventSource(`${ROOT}events?glance=1&since=${since}`);
