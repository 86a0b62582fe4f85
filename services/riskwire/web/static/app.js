// The page: loads what is there, then follows the stream.

import * as api from "./api.js";
import * as alerts from "./alerts.js";
import { MoodChart, RANGES } from "./charts.js";
import { choices, el } from "./dom.js";
import { addressed, close } from "./drawer.js";
import { number, when } from "./format.js";
import { storyRow } from "./stories.js";
import * as targets from "./targets.js";

const RANGE_KEY = "riskwire-range";
const REST_MS = 2000; // a part of the page is asked for again at most this often
const RETRY_MS = 5000;

const byId = (id) => document.getElementById(id);
const market = new MoodChart(byId("market-chart"), 230);
let range = JSON.parse(localStorage.getItem(RANGE_KEY) ?? "604800");

if (new URLSearchParams(location.search).has("token")) {
  history.replaceState(null, "", location.pathname + location.hash); // the cookie holds from here on
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
  const found = await api.page(api.storiesPath({ limit: 30 }));
  byId("news-list").replaceChildren(
    ...(found.rows.length ? found.rows.map(storyRow) : [el("li", { class: "empty" }, "No news yet.")]),
  );
}

/** Runs a loader now or as soon as it has rested; what it meets is told on the page. */
function paced(load) {
  let due = null;
  let last = 0;
  return () => {
    if (due !== null) return;
    due = setTimeout(async () => {
      last = Date.now();
      due = null;
      try {
        await load();
        tell(null);
      } catch (error) {
        tell(error.status === 401 ? "Not signed in any more: open the page once as /?token=TOKEN." : error.message);
      }
    }, Math.max(0, last + REST_MS - Date.now()));
  };
}

function tell(text) {
  byId("notice").textContent = text ?? "";
  byId("notice").hidden = !text;
}

const refresh = {
  market: paced(loadMarket),
  news: paced(loadNews),
  targets: paced(targets.load),
  alerts: paced(alerts.load),
  detail: paced(() => openAddressed(true)),
};

function showStatus(status) {
  const behind = Object.values(status.lag).reduce((sum, records) => sum + records, 0);
  byId("fact-newest").replaceChildren(when(status.newest));
  byId("fact-lag").textContent = behind === 0 ? "none" : `${number(behind)} records`;
  byId("fact-alerts").textContent = number(status.alerts_open);
  byId("fact-blind").textContent = number(status.blind);
  byId("fact-articles").textContent = number(status.counts.articles);
  byId("fact-bundle").textContent = status.bundle || "–";
  byId("fact-alerts").classList.toggle("raised", status.alerts_open > 0);
  byId("fact-blind").classList.toggle("raised", status.blind > 0);
  document.title = status.alerts_open > 0 ? `(${status.alerts_open}) riskwire` : "riskwire";
}

function streamState(state) {
  byId("stream-state").textContent = state;
  byId("stream-state").className = `pulse ${state}`;
}

function follow() {
  const source = new EventSource("/api/v1/stream");
  const on = (kind, act) => source.addEventListener(kind, (event) => act(JSON.parse(event.data)));
  source.addEventListener("open", () => {
    streamState("live");
    Object.values(refresh).forEach((again) => again());
  });
  source.addEventListener("error", () => {
    streamState("reconnecting");
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
    alerts.arrived(alert);
    refresh.targets();
    if (addressed()?.id === alert.id) refresh.detail();
  });
  const moved = ({ targets: names }) => {
    refresh.targets();
    if (names.includes("market")) refresh.market();
    if (names.includes(addressed()?.id)) refresh.detail();
  };
  on("trend", moved);
  on("target", moved);
}

async function openAddressed(update = false) {
  const wanted = addressed();
  if (wanted === null) {
    if (!update) close();
    return;
  }
  const still = () => addressed()?.kind === wanted.kind && addressed()?.id === wanted.id;
  if (wanted.kind === "alert") {
    // someone who is typing is not interrupted: the drawer is redrawn when they are done
    const comment = byId("act-comment");
    const typing = comment !== null && (comment.value !== "" || byId("drawer").contains(document.activeElement?.closest("input")));
    if (!update || !typing) await alerts.detail(wanted.id, still);
  } else {
    await targets.detail(wanted.id, still, update);
  }
}

choices(byId("market-ranges"), RANGES, range, (value) => {
  range = value;
  localStorage.setItem(RANGE_KEY, JSON.stringify(value));
  loadMarket();
});
alerts.start();
targets.start();
window.addEventListener("hashchange", () => openAddressed());
openAddressed();
follow();
