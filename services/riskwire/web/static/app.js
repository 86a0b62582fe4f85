// The page: loads the data, then follows the event stream.

import * as api from "./api.js";
import * as alerts from "./alerts.js";
import { MoodChart, RANGES } from "./charts.js";
import { loadMe } from "./decide.js";
import { buttonGroup, el } from "./dom.js";
import { close, drawerAddress } from "./drawer.js";
import { number, setTimeZone, timeZone, when } from "./format.js";
import { storyRow } from "./stories.js";
import * as targets from "./targets.js";

const RANGE_KEY = "riskwire-range";
const MIN_INTERVAL_MS = 2000; // between two loads of one part of the page
const RETRY_MS = 5000;

const byId = (id) => document.getElementById(id);
const market = new MoodChart(byId("market-chart"), 230);
let range = JSON.parse(localStorage.getItem(RANGE_KEY) ?? "604800");

if (new URLSearchParams(location.search).has("token")) {
  history.replaceState(null, "", location.pathname + location.hash); // from now on the cookie authenticates
}

async function loadMarket() {
  try {
    const trend = await api.trend("market", { last_s: range });
    if (trend.points.length) market.draw(trend);
    else market.empty("No news in this range.");
  } catch (error) {
    if (error.status !== 404) throw error;
    market.empty("No trend yet: it appears as news comes in.");
  }
}

async function loadNews() {
  const page = await api.page(api.storiesPath({ limit: 30 }));
  byId("news-list").replaceChildren(
    ...(page.rows.length ? page.rows.map(storyRow) : [el("li", { class: "empty" }, "No news yet.")]),
  );
}

/** Returns a function that runs a loader at most once in MIN_INTERVAL_MS, and shows its errors on the page. */
function throttled(load) {
  let due = null;
  let last = 0;
  return () => {
    if (due !== null) return;
    due = setTimeout(async () => {
      last = Date.now();
      due = null;
      try {
        await load();
        showNotice(null);
      } catch (error) {
        showNotice(error.status === 401 ? "Signed out: open the page once as /?token=TOKEN." : error.message);
      }
    }, Math.max(0, last + MIN_INTERVAL_MS - Date.now()));
  };
}

function showNotice(text) {
  byId("notice").textContent = text ?? "";
  byId("notice").hidden = !text;
}

const refresh = {
  market: throttled(loadMarket),
  news: throttled(loadNews),
  targets: throttled(targets.load),
  alerts: throttled(alerts.load),
  detail: throttled(() => openFromAddress(true)),
};

function showStatus(status) {
  const lag = Object.values(status.lag).reduce((sum, records) => sum + records, 0);
  byId("fact-newest").replaceChildren(when(status.newest));
  byId("fact-lag").textContent = lag === 0 ? "none" : `${number(lag)} records`;
  byId("fact-alerts").textContent = number(status.alerts_open);
  byId("fact-blind").textContent = number(status.blind);
  byId("fact-articles").textContent = number(status.counts.articles);
  byId("fact-bundle").textContent = status.bundle || "–";
  byId("fact-alerts").classList.toggle("raised", status.alerts_open > 0);
  byId("fact-blind").classList.toggle("raised", status.blind > 0);
  document.title = status.alerts_open > 0 ? `(${status.alerts_open}) riskwire` : "riskwire";
}

function showStreamState(state) {
  byId("stream-state").textContent = state;
  byId("stream-state").className = `pulse ${state}`;
}

function follow() {
  const source = new EventSource("/api/v1/stream");
  const on = (kind, handle) => source.addEventListener(kind, (event) => handle(JSON.parse(event.data)));
  source.addEventListener("open", () => {
    showStreamState("live");
    Object.values(refresh).forEach((load) => load());
  });
  source.addEventListener("error", () => {
    showStreamState("reconnecting");
    if (source.readyState === EventSource.CLOSED) {
      setTimeout(follow, RETRY_MS); // refused, for example because too many streams are open
    }
  });
  let articles = null;
  on("status", (status) => {
    showStatus(status);
    if (status.counts.articles !== articles) refresh.news();
    articles = status.counts.articles;
  });
  on("alert", (alert) => {
    alerts.receive(alert);
    refresh.targets();
    if (drawerAddress()?.id === alert.id) refresh.detail();
  });
  const onChange = ({ targets: names }) => {
    refresh.targets();
    if (names.includes("market")) refresh.market();
    if (names.includes(drawerAddress()?.id)) refresh.detail();
  };
  on("trend", onChange);
  on("target", onChange);
}

async function openFromAddress(update = false) {
  const address = drawerAddress();
  if (address === null) {
    if (!update) close();
    return;
  }
  const isCurrent = () => drawerAddress()?.kind === address.kind && drawerAddress()?.id === address.id;
  if (address.kind === "alert") {
    // an update does not redraw the drawer while someone types a comment or chooses
    const comment = byId("act-comment");
    const typing = comment !== null && (comment.value !== "" || byId("drawer").contains(document.activeElement?.closest("input, select")));
    if (!update || !typing) await alerts.openAlert(address.id, isCurrent);
  } else {
    await targets.openTarget(address.id, isCurrent, update);
  }
}

buttonGroup(byId("market-ranges"), RANGES, range, (value) => {
  range = value;
  localStorage.setItem(RANGE_KEY, JSON.stringify(value));
  loadMarket();
});
try {
  setTimeZone((await api.status()).time_zone);
} catch {
  // signed out, or not reachable: the stream says so
}
byId("fact-zone").textContent = timeZone;
await loadMe();
alerts.start();
targets.start();
// a decision is stored a moment after it was sent
window.addEventListener("riskwire-decided", () => setTimeout(() => { refresh.alerts(); refresh.detail(); }, 1500));
window.addEventListener("hashchange", () => openFromAddress());
openFromAddress();
follow();
