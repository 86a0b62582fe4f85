// The drawer at the side: one thing in detail. What is open stands in the address (#alert/ID, #target/ID).

import { el } from "./dom.js";

const dialog = document.getElementById("drawer");
let opener = null;

export function hashOf(kind, id) {
  return `#${kind}/${encodeURIComponent(id)}`;
}

export function addressed() {
  const found = /^#(alert|target)\/(.+)$/.exec(location.hash);
  if (!found) return null;
  try {
    return { kind: found[1], id: decodeURIComponent(found[2]) };
  } catch {
    return null;
  }
}

export function show(kind, id) {
  if (!dialog.open) opener = document.activeElement;
  location.hash = hashOf(kind, id);
}

export function close() {
  if (addressed()) history.pushState(null, "", location.pathname + location.search);
  if (dialog.open) dialog.close();
}

export function present(testid, ...content) {
  const key = location.hash;
  const closer = el("button", { class: "close", "aria-label": "Close", onclick: close }, "×");
  const scrolled = dialog.open && dialog.dataset.key === key ? dialog.scrollTop : 0;
  dialog.dataset.testid = testid;
  dialog.dataset.key = key;
  dialog.replaceChildren(closer, ...content.filter((part) => part !== null));
  if (!dialog.open) dialog.showModal();
  else closer.focus({ preventScroll: true });
  dialog.scrollTop = scrolled;
}

dialog.addEventListener("close", () => {
  delete dialog.dataset.testid;
  dialog.replaceChildren();
  close();
  const back = opener?.isConnected ? opener : opener?.id && document.getElementById(opener.id);
  if (back) back.focus();
  opener = null;
});
dialog.addEventListener("click", (event) => {
  if (event.target === dialog) close();
});
