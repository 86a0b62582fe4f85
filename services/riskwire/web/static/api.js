// What the page asks of the server.

export class Refused extends Error {}

async function ask(path, options = {}) {
  const response = await fetch(path, { ...options, signal: AbortSignal.timeout(30000) });
  if (!response.ok) {
    let detail = `${response.status} ${response.statusText}`;
    try {
      detail = (await response.json()).detail ?? detail;
    } catch {
      // not a problem detail: the status says it
    }
    const refused = new Refused(detail);
    refused.status = response.status;
    throw refused;
  }
  return response;
}

function path(base, query = {}) {
  const parameters = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) {
    if (value !== null && value !== undefined && value !== "") parameters.set(key, value);
  }
  const text = parameters.toString();
  return text ? `${base}?${text}` : base;
}

const asked = async (base, query) => (await ask(path(`/api/v1${base}`, query))).json();

/** A page of a list, and the address of the next one (null at the end). */
export async function page(address) {
  const response = await ask(address);
  const link = /<([^>]+)>; rel="next"/.exec(response.headers.get("Link") ?? "");
  return { rows: await response.json(), next: link ? link[1] : null };
}

export const alertsPath = (query) => path("/api/v1/alerts", query);
export const storiesPath = (query) => path("/api/v1/stories", query);
export const alert = (id) => asked(`/alerts/${encodeURIComponent(id)}`);
export const targets = (query) => asked("/targets", query);
export const target = (id) => asked(`/targets/${encodeURIComponent(id)}`);
export const trend = (id, query) => asked(`/targets/${encodeURIComponent(id)}/trend`, query);

export async function command(body) {
  await ask("/api/v1/commands", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
}
