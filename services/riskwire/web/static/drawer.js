// The drawer at the side shows one alert or target. The address names it (#alert/ID, #target/ID).

import { el } from "./dom.js";

const dialog = document.getElementById("drawer");
let opener = null;

export function hashOf(kind, id) {
  return `#${kind}/${encodeURIComponent(id)}`;
}

/** Returns kind and id of what the address names, or null. */
export function drawerAddress() {
  const match = /^#(alert|target)\/(.+)$/.exec(location.hash);
  if (!match) return null;
  try {
    return { kind: match[1], id: decodeURIComponent(match[2]) };
  } catch {
    return null;
  }
}

export function show(kind, id) {
  if (!dialog.open) opener = document.activeElement;
  location.hash = hashOf(kind, id);
}

export function close() {
  if (drawerAddress()) history.pushState(null, "", location.pathname + location.search);
  if (dialog.open) dialog.close();
}

export function present(testid, ...content) {
  const key = location.hash;
  const closeButton = el("button", { class: "close", "aria-label": "Close", onclick: close }, "×");
  const scrollTop = dialog.open && dialog.dataset.key === key ? dialog.scrollTop : 0;
  dialog.dataset.testid = testid;
  dialog.dataset.key = key;
  dialog.replaceChildren(closeButton, ...content.filter((part) => part !== null));
  if (!dialog.open) dialog.showModal();
  else closeButton.focus({ preventScroll: true });
  dialog.scrollTop = scrollTop;
}

dialog.addEventListener("close", () => {
  delete dialog.dataset.testid;
  dialog.replaceChildren();
  close();
  const target = opener?.isConnected ? opener : opener?.id && document.getElementById(opener.id);
  if (target) target.focus();
  opener = null;
});
dialog.addEventListener("click", (event) => {
  if (event.target === dialog) close();
});
