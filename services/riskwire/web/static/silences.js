// The silences of Alertmanager, above the list of alerts: what is silent there, until when, and who made it so.

import * as api from "./api.js";
import { el } from "./dom.js";
import { when } from "./format.js";

const EVERY_MS = 30000;
const MAX_NAMES = 4;
const list = document.getElementById("silences");

function line(silence) {
  const names = silence.names.slice(0, MAX_NAMES).join(", ");
  const more = silence.names.length > MAX_NAMES ? ` and ${silence.names.length - MAX_NAMES} more` : "";
  const what = names ? `${names}${more}` : silence.matchers.join(", ");
  return el("li", { title: silence.matchers.join(", ") }, el("strong", { dir: "auto" }, what), " silent in Alertmanager until ", when(silence.until), ` by ${silence.by}: ${silence.comment}`);
}

async function load() {
  try {
    const { rows } = await api.page("/api/v1/silences");
    list.replaceChildren(...rows.map(line));
    list.hidden = !rows.length;
  } catch (error) {
    if (error.status === 503) list.replaceChildren(el("li", {}, error.message));
    list.hidden = error.status !== 503;
  }
}

load();
setInterval(load, EVERY_MS);
