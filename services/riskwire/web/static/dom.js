// Everything on the page is built here, from text and nodes: never from markup, since titles and names are hostile.

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

/** A link to where a story was published; plain text unless it leads to http or https. */
export function outside(address, text, properties = {}) {
  let url = null;
  try {
    url = new URL(address);
  } catch {
    // not an address: the text stands alone
  }
  if (url === null || !["http:", "https:"].includes(url.protocol)) return el("span", properties, text);
  return el("a", { ...properties, href: url.href, rel: "noopener noreferrer", target: "_blank" }, text);
}

/** A sentence with the span that names the target marked; offsets count code points, end exclusive. */
export function marked(sentence, start, end) {
  const characters = Array.from(sentence);
  const from = Math.max(0, Math.min(start, characters.length));
  const to = Math.max(from, Math.min(end, characters.length));
  const part = (a, b) => characters.slice(a, b).join("");
  const span = part(from, to);
  return el("blockquote", { dir: "auto" }, part(0, from), span ? el("mark", {}, span) : "", part(to));
}

/** Buttons of which one is chosen. */
export function choices(holder, options, chosen, choose) {
  const buttons = options.map(([value, label, title]) =>
    el(
      "button",
      {
        type: "button",
        title,
        "aria-pressed": String(value === chosen),
        onclick: () => {
          buttons.forEach((button, place) => button.setAttribute("aria-pressed", String(options[place][0] === value)));
          choose(value);
        },
      },
      label,
    ),
  );
  holder.replaceChildren(...buttons);
}
