// @ts-check
// Two photos side by side that zoom and move together. OpenSeadragon draws; the server says what is shown, and a step
// in the film strip fetches the same page anew and keeps the place.

import { align, aligned, forget, release, wanted } from "./align.js";
import { flip, mode, nudge, setMode, toggle } from "./over.js";

/* global OpenSeadragon */
const STEPS = [640, 1024, 1600, 2400];
const ZOOM = 1.25;
const MOVE = 0.12; // of the part that is seen

// OpenSeadragon would write a style element into the page, which the content policy refuses; the rule is in our own
// sheet. It looks for an element of this name first, and takes one that styles nothing.
const already = document.createElementNS("urn:photospine", "style");
already.setAttribute("data-openseadragon-mobile-css", "true");
document.head.append(already);

const panes = /** @type {HTMLElement} */ (document.getElementById("panes"));
/** @type {Record<string, any>} */
const views = {};
/** Sides whose pane may yet change its size with the way of looking. @type {Set<string>} */
const refit = new Set();
let linked = true;
let turns = Promise.resolve(); // changes of the pair that were asked for
let leading = ""; // the side that is being moved; the other one follows
/** @type {{x: number, y: number, zoom: number}} */
let apart = { x: 0, y: 0, zoom: 1 }; // the right photo's place in the left one's, where they were unlinked and moved

/** @param {string} address @param {number} width */
function sized(address, width) {
  return width ? `${address}${address.includes("?") ? "&" : "?"}width=${width}` : address;
}

/** @param {HTMLElement} pane */
async function levels(pane) {
  const address = pane.dataset.address ?? "";
  let width = Number(pane.dataset.width);
  let height = Number(pane.dataset.height);
  if (!width || !height) {
    const image = new Image();
    image.src = sized(address, 0);
    await image.decode().catch(() => missing(pane));
    [width, height] = [image.naturalWidth, image.naturalHeight];
  }
  const sizes = [...STEPS.filter((step) => step < width), 0];
  return {
    type: "legacy-image-pyramid",
    levels: sizes.map((step) => ({
      url: sized(address, step),
      width: step || width,
      height: step ? Math.round((height * step) / width) : height,
    })),
  };
}

/** A picture did not come: say so. Where the page is no longer to be had either, because the session has ended or a
 * photo may not be seen any more, it goes too, and the door leads back to it. @param {HTMLElement} pane */
async function missing(pane) {
  const word = pane.querySelector(".missing");
  if (!word?.hasAttribute("hidden")) return;
  word.removeAttribute("hidden");
  const page = await fetch(location.href, { method: "HEAD", redirect: "manual" }).catch(() => null);
  if (page && (page.type === "opaqueredirect" || page.status === 404)) location.reload();
}

/** @param {string} side */
async function open(side) {
  const pane = document.getElementById(side);
  if (!pane) return;
  const view = OpenSeadragon({
    element: pane,
    tileSources: await levels(pane),
    drawer: "canvas",
    showNavigationControl: false,
    keyboardNavEnabled: false,
    animationTime: matchMedia("(prefers-reduced-motion: reduce)").matches ? 0 : 0.35,
    springStiffness: 9,
    visibilityRatio: 0.4,
    minZoomImageRatio: 0.8,
    maxZoomPixelRatio: 4,
    gestureSettingsMouse: { clickToZoom: false, dblClickToZoom: true, scrollToZoom: true },
    gestureSettingsTouch: { clickToZoom: false, dblClickToZoom: true, pinchToZoom: true, pinchRotate: false },
    zoomPerScroll: 1.15,
    immediateRender: false,
    imageSmoothingEnabled: true,
    silenceMultiImageWarnings: true,
  });
  views[side] = view;
  view.canvas.removeAttribute("tabindex"); // the pair is one stop for the keyboard
  view.addHandler("open", () => pane.classList.add("live"));
  view.addHandler("tile-load-failed", () => missing(pane));
  pane.addEventListener("focus", () => (leading = side));
  view.addHandler("canvas-press", () => !linked && pane.focus({ preventScroll: true }));
  for (const gesture of ["canvas-press", "canvas-scroll", "canvas-pinch", "canvas-double-click"]) {
    view.addHandler(gesture, () => {
      leading = side;
      refit.clear();
    });
  }
  view.addHandler("viewport-change", () => follow(side));
  view.addHandler("after-resize", () => {
    if (refit.delete(side)) queueMicrotask(acts.fit); // what is raised here is still within the change
  });
  view.addHandler("update-viewport", scale);
}

/** Place of a view: its centre in photo widths and heights, its zoom against the fitted photo. @param {any} view */
function place(view) {
  const home = view.viewport.getHomeZoom();
  const centre = view.viewport.getCenter(false);
  const item = view.world.getItemAt(0);
  const ratio = item ? item.getContentSize().y / item.getContentSize().x : 1;
  return { x: centre.x, y: centre.y / ratio, zoom: view.viewport.getZoom(false) / home, ratio, home };
}

/** @param {string} side */
function follow(side) {
  if (!linked || side !== leading) return;
  const other = views[side === "left" ? "right" : "left"];
  if (!other || !other.world.getItemCount()) return;
  if (aligned()) {
    // Both are laid out in the left photo's measure: the same place in the one is the same place in the other.
    other.viewport.zoomTo(views[side].viewport.getZoom(false), null, true);
    other.viewport.panTo(views[side].viewport.getCenter(false), true);
    return;
  }
  const from = place(views[side]);
  const to = place(other);
  const sign = side === "left" ? 1 : -1;
  const zoom = from.zoom * apart.zoom ** sign;
  const centre = new OpenSeadragon.Point(from.x + sign * apart.x, (from.y + sign * apart.y) * to.ratio);
  other.viewport.zoomTo(zoom * to.home, null, true);
  other.viewport.panTo(centre, true);
}

function scale() {
  const view = views[leading] ?? views.left;
  const output = document.getElementById("scale");
  if (!view || !output || !view.world.getItemCount()) return;
  output.textContent = `${Math.round((view.viewport.getZoom(true) / view.viewport.getHomeZoom()) * 100)} %`;
}

/** Let the photo lead that was last touched or has the focus; a linked one follows.
 * @param {(view: any) => void} act */
function lead(act) {
  leading = leading || (document.activeElement?.id === "right" ? "right" : "left");
  act(views[leading] ?? views.left);
}

/** @type {Record<string, () => void>} */
const acts = {
  in: () => lead((view) => view.viewport.zoomBy(ZOOM)),
  out: () => lead((view) => view.viewport.zoomBy(1 / ZOOM)),
  fit: () => {
    apart = { x: 0, y: 0, zoom: 1 };
    const led = leading;
    leading = aligned() ? "left" : "";
    for (const view of aligned() ? [views.left] : Object.values(views)) view.viewport.goHome();
    leading = led;
  },
  align: () => turn(async () => {
    if (!document.getElementById("align") || !views.right) return;
    if (wanted()) {
      release(views.right);
      acts.fit();
    } else await lay();
  }),
  pause: toggle,
  link: () => {
    if (mode() !== "side") return; // one over the other they move together
    linked = !linked;
    const button = document.querySelector("[data-do=link]");
    button?.setAttribute("aria-pressed", String(linked));
    stops();
    if (linked && views.left && views.right) {
      const [left, right] = [place(views.left), place(views.right)];
      apart = { x: right.x - left.x, y: right.y - left.y, zoom: right.zoom / left.zoom };
    }
  },
  keys: () => {
    const sheet = document.getElementById("keys");
    if (!sheet) return;
    sheet.hidden = !sheet.hidden;
    document.querySelector("[data-do=keys]")?.setAttribute("aria-expanded", String(!sheet.hidden));
  },
};

/** Lay the right photo on the left one where that can be done; both move together then. */
async function lay() {
  if (!(await align(views.right))) return acts.fit();
  together();
  leading = "left";
  follow("left");
}

/** Both photos move together, from the place where the left one is. */
function together() {
  apart = { x: 0, y: 0, zoom: 1 };
  if (!linked) {
    linked = true;
    document.querySelector("[data-do=link]")?.setAttribute("aria-pressed", "true");
    stops();
  }
}

/** @param {string} next */
function look(next) {
  if (!views.right || next === mode()) return;
  if (next !== "side") together();
  setMode(next);
  document.querySelector("[data-do=link]")?.toggleAttribute("disabled", next !== "side");
  for (const side of Object.keys(views)) refit.add(side); // each measures anew where its pane has changed
  acts.fit();
}

/** Linked, the pair is one stop for the keyboard; unlinked, each photo is one, and the keys move that with the focus. */
function stops() {
  const held = panes.contains(document.activeElement);
  const each = !linked && views.left && views.right;
  panes.tabIndex = each ? -1 : 0;
  for (const side of Object.keys(views)) {
    const pane = document.getElementById(side);
    if (each) pane?.setAttribute("tabindex", "0");
    else pane?.removeAttribute("tabindex");
  }
  if (held) (each ? document.getElementById(leading || "left") : panes)?.focus({ preventScroll: true });
}

/** @param {number} x @param {number} y */
function move(x, y) {
  lead((view) => {
    const seen = view.viewport.getBounds();
    view.viewport.panBy(new OpenSeadragon.Point(x * seen.width * MOVE, y * seen.height * MOVE));
  });
}

/** @param {string} side @param {number} by */
function step(side, by) {
  turn(async () => {
    const links = [...document.querySelectorAll(`#${side}-strip a`)];
    const at = links.findIndex((link) => link.hasAttribute("aria-current"));
    const next = links[at + by];
    if (next instanceof HTMLAnchorElement) await go(next.href, true);
  });
}

/** One change after the other, each from what the one before it left. @param {() => Promise<void>} change */
function turn(change) {
  turns = turns.then(change, change);
}

/** Show another pair without losing the place. @param {string} address @param {boolean} remember */
async function go(address, remember) {
  const answer = await fetch(address, { redirect: "error" }).catch(() => null);
  if (!answer?.ok) {
    location.href = address;
    return;
  }
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const focused = focusPlace();
  const strips = ["left-strip", "right-strip"].map((id) => document.getElementById(id)?.scrollLeft ?? 0);
  for (const selector of [".under", ".over .chips"]) {
    const [old, fresh] = [document.querySelector(selector), page.querySelector(selector)];
    if (old && fresh) old.replaceWith(document.adoptNode(fresh));
  }
  const swap = document.querySelector("[data-go=swap]");
  swap?.setAttribute("href", page.querySelector("[data-go=swap]")?.getAttribute("href") ?? "");
  const button = document.getElementById("align");
  if (button) button.dataset.address = page.getElementById("align")?.dataset.address ?? "";
  const again = wanted();
  if (again) forget(views.right);
  ["left-strip", "right-strip"].forEach((id, index) => document.getElementById(id)?.scrollTo(strips[index], 0));
  document.title = page.title;
  if (remember) history.pushState(null, "", address);
  restoreFocus(focused);
  reveal();
  await Promise.all(["left", "right"].map(async (side) => {
    const [pane, fresh] = [document.getElementById(side), page.getElementById(side)];
    if (!pane || !fresh || pane.dataset.address === fresh.dataset.address) return;
    Object.assign(pane.dataset, { ...fresh.dataset });
    pane.querySelector(".missing")?.toggleAttribute("hidden", true);
    const still = pane.querySelector(".still");
    if (still) still.setAttribute("alt", fresh.dataset.alt ?? "");
    const view = views[side];
    if (!view) return;
    const kept = place(view);
    const source = await levels(pane);
    await new Promise((done) => {
      view.addTiledImage({ tileSource: source, index: 0, replace: true, success: done, error: done });
    });
    const now = place(view);
    leading = "";
    view.viewport.zoomTo(kept.zoom * now.home, null, true);
    view.viewport.panTo(new OpenSeadragon.Point(kept.x, kept.y * now.ratio), true);
  }));
  if (again) await lay();
}

/** A long film strip shows its own photo, with half of each neighbour. */
function reveal() {
  for (const strip of document.querySelectorAll(".strip")) {
    const link = strip.querySelector("[aria-current]");
    if (!link) continue;
    const [frame, own] = [strip.getBoundingClientRect(), link.getBoundingClientRect()];
    const margin = own.width / 2;
    if (own.left - margin < frame.left) strip.scrollLeft += own.left - margin - frame.left;
    if (own.right + margin > frame.right) strip.scrollLeft += own.right + margin - frame.right;
  }
}

function focusPlace() {
  const at = document.activeElement;
  const strip = at?.closest(".strip");
  return strip ? { strip: strip.id, index: [...strip.children].indexOf(/** @type {Element} */ (at)) } : null;
}

/** @param {{strip: string, index: number} | null} kept */
function restoreFocus(kept) {
  if (!kept) return;
  const link = document.getElementById(kept.strip)?.children[kept.index];
  if (link instanceof HTMLElement) link.focus();
}

document.addEventListener("click", (event) => {
  const target = event.target instanceof Element ? event.target : null;
  const button = target?.closest("[data-do]");
  if (button instanceof HTMLElement) acts[button.dataset.do ?? ""]?.();
  const chosen = target?.closest("button[data-mode]");
  if (chosen instanceof HTMLElement) look(chosen.dataset.mode ?? "side");
  const link = target?.closest(".strip a, [data-go]");
  if (link instanceof HTMLAnchorElement && !event.ctrlKey && !event.metaKey && !event.shiftKey && event.button === 0) {
    event.preventDefault();
    turn(link.matches("[data-go=swap]") ? swap : () => go(link.href, true));
  }
});

const KEYS = /** @type {Record<string, () => void>} */ ({
  "+": acts.in, "=": acts.in, "-": acts.out, "_": acts.out, "0": acts.fit, "?": acts.keys,
  l: acts.link, L: acts.link, a: acts.align, A: acts.align,
  1: () => look("side"), 2: () => look("slider"), 3: () => look("blend"), 4: () => look("blink"),
  ",": () => nudge(-5), ".": () => nudge(5), " ": flip,
  s: () => turn(swap), S: () => turn(swap),
  "[": () => step("left", -1), "]": () => step("left", 1), "{": () => step("right", -1), "}": () => step("right", 1),
  ArrowLeft: () => move(-1, 0), ArrowRight: () => move(1, 0), ArrowUp: () => move(0, -1), ArrowDown: () => move(0, 1),
  Escape: () => {
    const sheet = document.getElementById("keys");
    if (sheet && !sheet.hidden) acts.keys();
  },
});

async function swap() {
  const link = document.querySelector("[data-go=swap]");
  if (!(link instanceof HTMLAnchorElement)) return;
  apart = { x: -apart.x, y: -apart.y, zoom: 1 / apart.zoom };
  await go(link.href, true);
}

// Single letters act only while the focus is in the comparison, so that they never surprise elsewhere. A click beside
// the photos, on a date or a setting, leaves it with the page's main part.
document.getElementById("main")?.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const act = KEYS[event.key];
  if (!act) return;
  // What a button or the slider does with a key of its own it goes on doing.
  const own = event.target instanceof Element && event.target.closest("button, a, input");
  if (own && (event.key === " " || (own.matches("input") && event.key.startsWith("Arrow")))) return;
  event.preventDefault();
  act();
});
window.addEventListener("popstate", () => turn(() => go(location.href, false)));

reveal();
await Promise.all([open("left"), open("right")]);
panes.focus({ preventScroll: true });
