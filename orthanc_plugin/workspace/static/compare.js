// @ts-check
// Two photos side by side that zoom and move together. OpenSeadragon draws; the server says what is shown, and a step
// in the film strip fetches the same page anew and keeps the place.

import { align, aligned, forget, keep as keepAlignment, kept, release, wanted } from "./align.js";
import * as light from "./light.js";
import * as measure from "./measure.js";
import { flip, mode, nudge, setMode, toggle } from "./over.js";
import { drawn, levels, place, viewer } from "./view.js";
import { _ } from "./words.js";

/* global OpenSeadragon */
const ZOOM = 1.25;
const MOVE = 0.12; // of the part that is seen
const ALIGNS = "photospine-aligns"; // in the window's own memory

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

/** @param {string} side */
async function open(side) {
  const pane = document.getElementById(side);
  if (!pane) return;
  const view = await viewer(pane);
  views[side] = view;
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
    const on = !wanted();
    remember(on); // the next pairs of this window are shown likewise
    if (on) await lay();
    else {
      release(views.right);
      acts.fit();
      measure.show();
    }
  }),
  pause: toggle,
  light: () => turn(light.toggle),
  measure: measure.toggle,
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
  keep: () => turn(async () => void keep()), // as it is once what was asked for before is shown
  export: () => {
    unfold("export");
    const first = document.querySelector("#export:not([hidden]) input:checked");
    if (first instanceof HTMLElement) first.focus();
  },
  keys: () => unfold("keys"),
};

/** The part of a photo that is seen: corners in pixels from 1 on. @param {any} view */
function seen(view) {
  const box = view.world.getItemAt(0).viewportToImageRectangle(view.viewport.getBounds(true)).getBoundingBox();
  return [box.x + 1, box.y + 1, box.x + box.width, box.y + box.height].map(Math.round).join(",");
}

/** Show a part of a photo again. @param {any} view @param {string} corners */
function show(view, corners) {
  const [left, top, right, bottom] = corners.split(",").map(Number);
  const item = view.world.getItemAt(0);
  view.viewport.fitBounds(item.imageToViewportRectangle(left - 1, top - 1, right - left + 1, bottom - top + 1), true);
}

/** The comparison as it stands on the screen becomes part of the record. */
async function keep() {
  const button = document.getElementById("keep");
  if (!button || !views.right?.world.getItemCount() || !views.left?.world.getItemCount()) return;
  const { address, csrf, left, right } = button.dataset;
  button.setAttribute("aria-busy", "true");
  const body = new URLSearchParams({
    csrf: csrf ?? "", left: left ?? "", right: right ?? "", mode: mode(),
    "left-area": seen(views.left), "right-area": seen(views.right),
    aligned: aligned() ? "yes" : "", light: light.stops(),
  });
  const answer = await fetch(address ?? "", { method: "POST", body, redirect: "error" }).catch(() => null);
  const said = await answer?.json().catch(() => null);
  button.removeAttribute("aria-busy");
  tell(said?.text ?? _("Not kept: it could not be sent. Try again."));
}

let telling = 0;

/** @param {string} text */
function tell(text) {
  const word = document.getElementById("told");
  if (!word) return;
  word.textContent = text;
  word.hidden = false;
  window.clearTimeout(telling);
  telling = window.setTimeout(() => (word.hidden = true), 8000);
}

/** A kept comparison is opened as it was kept. */
async function reopen() {
  const stage = document.getElementById("compare");
  const { kept, keptLeft, keptRight } = stage?.dataset ?? {};
  if (!kept || !keptLeft || !keptRight || !views.left || !views.right) return;
  if (kept !== "side") look(kept);
  // Once the panes have their size: one over the other, each is as wide as both were.
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  refit.clear();
  leading = "";
  show(views.left, keptLeft);
  show(views.right, keptRight);
  const [left, right] = [place(views.left), place(views.right)];
  apart = { x: right.x - left.x, y: right.y - left.y, zoom: right.zoom / left.zoom };
}

/** Whether a pair opens aligned: a comparison that was kept, as it was; another one where somebody kept where it lies, or
 * aligned the pair that this window showed last. */
function opensAligned() {
  if (!document.getElementById("align")) return false;
  const shown = document.getElementById("compare")?.dataset ?? {};
  return shown.kept ? shown.keptAligned !== undefined : kept() || remembered();
}

/** What the window remembers of Align, where it may remember anything. */
function remembered() {
  try {
    return sessionStorage.getItem(ALIGNS) === "yes";
  } catch {
    return false;
  }
}

/** @param {boolean} on */
function remember(on) {
  try {
    sessionStorage.setItem(ALIGNS, on ? "yes" : "no");
  } catch {
    // the next pair opens as it was taken
  }
}

/** Lay the right photo on the left one where that can be done; both move together then.
 * @param {boolean} [stay] whether both stay in their places where it cannot */
async function lay(stay = false) {
  if (!(await align(views.right))) return stay ? undefined : acts.fit();
  together();
  leading = "left";
  follow("left");
  measure.show(); // the one photo may take the other one's scale now
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

/** Open or close a sheet; one is open at a time. @param {string} name */
function unfold(name) {
  for (const each of ["keys", "export"]) {
    const sheet = document.getElementById(each);
    if (!sheet) continue;
    sheet.hidden = each !== name || !sheet.hidden;
    document.querySelector(`[data-do=${each}]`)?.setAttribute("aria-expanded", String(!sheet.hidden));
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

/** The first photo of the view on the left, that of the session before the right one, or of a year before it.
 * @param {string} name */
function before(name) {
  turn(async () => {
    const link = document.querySelector(`[data-before=${name}]`);
    if (link instanceof HTMLAnchorElement) await go(link.href, true);
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
  for (const selector of [".under", ".over .chips", "#export"]) {
    const [old, fresh] = [document.querySelector(selector), page.querySelector(selector)];
    if (old && fresh) old.replaceWith(document.adoptNode(fresh));
  }
  const swap = document.querySelector("[data-go=swap]");
  swap?.setAttribute("href", page.querySelector("[data-go=swap]")?.getAttribute("href") ?? "");
  document.getElementById("viewer")?.setAttribute("href", page.getElementById("viewer")?.getAttribute("href") ?? "");
  const [keeps, fresh] = [document.getElementById("keep"), page.getElementById("keep")];
  if (keeps && fresh) Object.assign(keeps.dataset, { ...fresh.dataset });
  const button = document.getElementById("align");
  const other = page.getElementById("align");
  if (button) button.dataset.address = other?.dataset.address ?? "";
  const again = wanted() || remembered() || other?.hasAttribute("data-kept") === true;
  button?.toggleAttribute("data-kept", other?.hasAttribute("data-kept") === true);
  if (wanted()) forget(views.right);
  ["left-strip", "right-strip"].forEach((id, index) => document.getElementById(id)?.scrollTo(strips[index], 0));
  document.title = page.title;
  if (remember) history.pushState(null, "", address);
  restoreFocus(focused);
  reveal();
  await Promise.all(["left", "right"].map(async (side) => {
    const [pane, fresh] = [document.getElementById(side), page.getElementById(side)];
    if (!pane || !fresh || pane.dataset.address === fresh.dataset.address) return;
    Object.assign(pane.dataset, { ...fresh.dataset });
    measure.forget(side);
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
  await light.again();
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
  const link = target?.closest(".strip a, [data-go], [data-before]");
  if (link instanceof HTMLAnchorElement && !event.ctrlKey && !event.metaKey && !event.shiftKey && event.button === 0) {
    event.preventDefault();
    turn(link.matches("[data-go=swap]") ? swap : () => go(link.href, true));
  }
});

const KEYS = /** @type {Record<string, () => void>} */ ({
  "+": acts.in, "=": acts.in, "-": acts.out, "_": acts.out, "0": acts.fit, "?": acts.keys,
  l: acts.link, L: acts.link, k: acts.keep, K: acts.keep, e: acts.export, E: acts.export, a: acts.align, A: acts.align,
  b: acts.light, B: acts.light, m: acts.measure, M: acts.measure,
  1: () => look("side"), 2: () => look("slider"), 3: () => look("blend"), 4: () => look("blink"),
  ",": () => nudge(-5), ".": () => nudge(5), " ": flip,
  s: () => turn(swap), S: () => turn(swap),
  f: () => before("first"), F: () => before("first"), p: () => before("previous"), P: () => before("previous"),
  y: () => before("year"), Y: () => before("year"),
  "[": () => step("left", -1), "]": () => step("left", 1), "{": () => step("right", -1), "}": () => step("right", 1),
  ArrowLeft: () => move(-1, 0), ArrowRight: () => move(1, 0), ArrowUp: () => move(0, -1), ArrowDown: () => move(0, 1),
  Escape: () => {
    for (const name of ["keys", "export"]) {
      const sheet = document.getElementById(name);
      if (!sheet || sheet.hidden) continue;
      const held = sheet.contains(document.activeElement);
      unfold(name);
      if (held) panes.focus({ preventScroll: true });
    }
    const open = document.querySelector(".comparable details[open]");
    open?.removeAttribute("open");
    if (open?.contains(document.activeElement)) open.querySelector("summary")?.focus();
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
  const typing = event.target instanceof Element && event.target.closest("button, a, input");
  if (!typing && measure.key(event)) {
    event.preventDefault();
    return;
  }
  const act = KEYS[event.key];
  if (!act) return;
  // What a button or the slider does with a key of its own it goes on doing.
  const own = event.target instanceof Element && event.target.closest("button, a, input");
  if (own instanceof HTMLInputElement && own.type === "number") return;
  if (own && (event.key === " " || (own.matches("input") && event.key.startsWith("Arrow")))) return;
  event.preventDefault();
  act();
});
window.addEventListener("popstate", () => {
  if (new URL(location.href).searchParams.has("kept")) location.reload(); // it is opened as it was kept
  else turn(() => go(location.href, false));
});

reveal();
await Promise.all([open("left"), open("right")]);
await Promise.all(Object.values(views).map(drawn));
await reopen();
measure.attach(views);
panes.focus({ preventScroll: true });
document.getElementById("keeping")?.addEventListener("submit", (event) => {
  event.preventDefault();
  turn(() => keepAlignment(views.right));
});
turn(light.restored);
if (views.right && opensAligned()) turn(() => lay(Boolean(document.getElementById("compare")?.dataset.kept)));
