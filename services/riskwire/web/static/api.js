// Requests to the server.

export class RefusedError extends Error {}

async function request(path, options = {}) {
  const response = await fetch(path, { ...options, signal: AbortSignal.timeout(30000) });
  if (!response.ok) {
    let detail = `${response.status} ${response.statusText}`;
    try {
      detail = (await response.json()).detail ?? detail;
    } catch {
      // without a problem detail, the status is the message
    }
    const error = new RefusedError(detail);
    error.status = response.status;
    throw error;
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

const getJson = async (base, query) => (await request(path(`/api/v1${base}`, query))).json();

/** Returns one page of a list, and the address of the next page, or null. */
export async function page(address) {
  const response = await request(address);
  const link = /<([^>]+)>; rel="next"/.exec(response.headers.get("Link") ?? "");
  return { rows: await response.json(), next: link ? link[1] : null };
}

export const status = () => getJson("/status");
export const alertsPath = (query) => path("/api/v1/alerts", query);
export const storiesPath = (query) => path("/api/v1/stories", query);
export const alert = (id) => getJson(`/alerts/${encodeURIComponent(id)}`);
export const targets = (query) => getJson("/targets", query);
export const target = (id) => getJson(`/targets/${encodeURIComponent(id)}`);
export const nearMisses = (id, query) => getJson(`/targets/${encodeURIComponent(id)}/near-misses`, query);
export const trend = (id, query) => getJson(`/targets/${encodeURIComponent(id)}/trend`, query);

export const me = () => getJson("/me");

/** Sends a decision. Returns it, with the one that it replaces. */
export async function command(body) {
  const response = await request("/api/v1/commands", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
  return response.json();
}
