// Builds all elements of the page from text and nodes, never from markup, because titles and names may be hostile.

const SVG = "http://www.w3.org/2000/svg";

export function el(name, properties = {}, ...children) {
  return fill(document.createElement(name), properties, children);
}

export function svg(name, attributes = {}, ...children) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

function fill(node, properties, children) {
  for (const [key, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (key === "class") node.className = value;
    else if (key === "testid") node.dataset.testid = value;
    else if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (key === "style") for (const [name, rule] of Object.entries(value)) node.style.setProperty(name, rule);
    else node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** Returns a link to another site; only the text, unless the address is http or https. */
export function externalLink(address, text, properties = {}) {
  let url = null;
  try {
    url = new URL(address);
  } catch {
    // not an address: only the text is shown
  }
  if (url === null || !["http:", "https:"].includes(url.protocol)) return el("span", properties, text);
  return el("a", { ...properties, href: url.href, rel: "noopener noreferrer", target: "_blank" }, text);
}

/** Returns a sentence with a marked span. Offsets count code points; the end is exclusive. */
export function marked(sentence, start, end) {
  const characters = Array.from(sentence);
  const first = Math.max(0, Math.min(start, characters.length));
  const last = Math.max(first, Math.min(end, characters.length));
  const part = (a, b) => characters.slice(a, b).join("");
  const span = part(first, last);
  return el("blockquote", { dir: "auto" }, part(0, first), span ? el("mark", {}, span) : "", part(last));
}

/** Fills an element with buttons, one of which is pressed. */
export function buttonGroup(holder, options, chosen, choose) {
  const buttons = options.map(([value, label, title]) =>
    el(
      "button",
      {
        type: "button",
        title,
        "aria-pressed": String(value === chosen),
        onclick: () => {
          buttons.forEach((button, index) => button.setAttribute("aria-pressed", String(options[index][0] === value)));
          choose(value);
        },
      },
      label,
    ),
  );
  holder.replaceChildren(...buttons);
}
