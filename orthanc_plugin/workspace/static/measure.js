// @ts-check
// Measuring on the photos of a comparison: a scale for each from a ruler or the pupils, then lengths and areas. By pointer,
// or by keyboard with a cross that the arrows move. Points are held in pixels of the photo; nothing is drawn into it.

import { place } from "./align.js";
import * as lengths from "./lengths.js";
import { _, number } from "./words.js";

/* global OpenSeadragon */
/** @typedef {import("./lengths.js").Spot} Spot */
/** @typedef {import("./lengths.js").Scale} Scale */
/** @typedef {{way: string, side: string, points: Spot[], mm: number, spread: number}} Mark */

const CLICK = 2; // pixels of the screen, standard deviation: how well a point is set
const GRID = 0.5; // and of the photo, at best
const STEP = 10; // pixels of the screen that an arrow moves the cross; with Shift one
const FRAMES = 60; // that a key waits at most until the photos are drawn for their panes
const NEEDS = { ruler: 2, pupils: 2, length: 2, area: 3 };
const NAMES = { ruler: _("Ruler"), pupils: _("Pupils"), length: _("Length"), area: _("Area") };
const OF_SIDE = {
  left: { ruler: _("Ruler, left"), pupils: _("Pupils, left"), length: _("Length, left"), area: _("Area, left") },
  right: { ruler: _("Ruler, right"), pupils: _("Pupils, right"), length: _("Length, right"), area: _("Area, right") },
};
const NO_SCALE = {
  left: _("The left photo has no scale yet: mark a ruler or the pupils on it, or align the photos."),
  right: _("The right photo has no scale yet: mark a ruler or the pupils on it, or align the photos."),
};
const HINTS = {
  ruler: _("Set a point on two lines of the ruler; say how far apart they are."),
  pupils: _("Set a point on the middle of each pupil."),
  length: _("Set two points."),
  area: _("Set points around it, then close it."),
};

const bar = document.getElementById("measuring");
const button = document.getElementById("measure");
const hint = document.getElementById("measure-hint");
const list = document.getElementById("measures");
const known = /** @type {HTMLInputElement | null} */ (document.getElementById("ruler-mm"));
const own = /** @type {HTMLInputElement | null} */ (document.getElementById("pupils-mm"));
const close = document.getElementById("measure-close");
/** @type {Record<string, any>} */
let views = {};
/** @type {Mark[]} */
let marks = [];
/** @type {Mark | null} */
let open = null; // points are being set
let way = "ruler";
let side = "left"; // the photo that the keyboard acts on
/** @type {{x: number, y: number} | null} */
let cross = null; // in pixels of its pane
/** What keys asked for while the photos had not yet the size of their panes. @type {(() => void)[]} */
let early = [];

/** Whether points are set. */
export function measuring() {
  return bar !== null && !bar.hidden;
}

/** @param {Record<string, any>} all viewers by side */
export function attach(all) {
  views = all;
  for (const [each, view] of Object.entries(all)) {
    const sheet = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    sheet.setAttribute("class", "marks");
    sheet.setAttribute("aria-hidden", "true");
    document.getElementById(each)?.append(sheet);
    view.addHandler("canvas-click", (/** @type {any} */ event) => {
      if (!measuring() || !event.quick) return;
      side = each;
      cross = null;
      put(each, event.position);
    });
    for (const change of ["update-viewport", "resize"]) view.addHandler(change, () => draw(each));
  }
}

/** Begin or end measuring; what was measured stays until it is cleared. */
export function toggle() {
  if (!bar) return;
  bar.hidden = !bar.hidden;
  button?.setAttribute("aria-pressed", String(!bar.hidden));
  button?.setAttribute("aria-expanded", String(!bar.hidden));
  open = null;
  cross = null;
  if (!bar.hidden) choose(scale("left") || scale("right") ? way : "ruler");
  show();
}

/** The photo of a side is another one. @param {string} changed */
export function forget(changed) {
  marks = marks.filter((mark) => mark.side !== changed);
  open = null;
  show();
}

/** @param {string} next */
function choose(next) {
  way = next;
  open = null;
  for (const each of document.querySelectorAll("[data-way]")) {
    if (each instanceof HTMLElement) each.setAttribute("aria-pressed", String(each.dataset.way === way));
  }
  known?.closest("label")?.toggleAttribute("hidden", way !== "ruler");
  own?.closest("label")?.toggleAttribute("hidden", way !== "pupils");
  show();
}

/** A point in pixels of the photo, and how well it is set at this zoom. @param {string} on @param {any} pixel of its pane
 * @returns {Spot | null} */
function spot(on, pixel) {
  const view = views[on];
  const item = view?.world.getItemAt(0);
  if (!item) return null;
  const [here, beside] = [0, 1].map((by) =>
    item.viewportToImageCoordinates(view.viewport.pointFromPixel(new OpenSeadragon.Point(pixel.x + by, pixel.y), true), true));
  const size = item.getContentSize();
  if (here.x < 0 || here.y < 0 || here.x > size.x || here.y > size.y) return null;
  return { x: here.x, y: here.y, s: Math.max(GRID, CLICK * Math.hypot(beside.x - here.x, beside.y - here.y)) };
}

/** @param {string} on @param {any} pixel */
function put(on, pixel) {
  const point = spot(on, pixel);
  if (!point) return;
  if (!open || open.side !== on) open = { way, side: on, points: [], mm: 0, spread: 0 };
  open.points.push(point);
  if (open.way !== "area" && open.points.length === NEEDS[/** @type {keyof typeof NEEDS} */ (open.way)]) finish();
  show();
}

/** What is being set is done. */
function finish() {
  if (!open || open.points.length < NEEDS[/** @type {keyof typeof NEEDS} */ (open.way)]) return;
  const mark = open;
  if (mark.way === "ruler") [mark.mm, mark.spread] = [Number(known?.value), lengths.READING];
  if (mark.way === "pupils") {
    const stated = Number(own?.value);
    [mark.mm, mark.spread] = stated > 0 ? [stated, lengths.OWN] : [lengths.PUPILS, lengths.PUPILS_SPREAD];
  }
  open = null;
  if (isScale(mark)) {
    if (!lengths.scaleOf(mark.points[0], mark.points[1], mark.mm, mark.spread)) return; // one place, or no length
    marks = marks.filter((each) => each.side !== mark.side || !isScale(each)); // a photo has one scale
  }
  marks.push(mark);
  if (isScale(mark)) choose("length");
}

/** @param {Mark} mark */
function isScale(mark) {
  return mark.way === "ruler" || mark.way === "pupils";
}

/** The scale of a photo: its own, or that of the other one where it lies on it. @param {string} of
 * @returns {Scale | null} */
function scale(of) {
  const mine = marks.find((mark) => mark.side === of && isScale(mark));
  if (mine) return lengths.scaleOf(mine.points[0], mine.points[1], mine.mm, mine.spread);
  const [laid, other] = [place(), of === "left" ? "right" : "left"];
  const theirs = marks.find((mark) => mark.side === other && isScale(mark));
  const [left, right] = [views.left, views.right].map((view) => view?.world.getItemAt(0)?.getContentSize());
  if (!laid || !theirs || !left || !right) return null;
  const found = lengths.scaleOf(theirs.points[0], theirs.points[1], theirs.mm, theirs.spread);
  const factor = (laid.width * left.x) / right.x; // pixels of the left photo for each of the right one
  return found && lengths.carried(found, of === "right" ? factor : 1 / factor, laid.error);
}

/** @param {Mark} mark @returns {{text: string, value: number | null, within: number | null, unit: string}} */
function told(mark) {
  if (isScale(mark)) {
    const said = { mm: number(mark.mm, 4, 0), within: number(lengths.WITHIN * mark.spread, 1) };
    const average = mark.mm === lengths.PUPILS ? _("%(mm)s ± %(within)s mm, as adults have on average", said) : `${said.mm} ± ${said.within} mm`;
    const text = mark.way === "ruler" ? `${said.mm} mm` : average;
    return { text, value: mark.mm, within: lengths.WITHIN * mark.spread, unit: "mm" };
  }
  const by = scale(mark.side);
  const unit = mark.way === "area" ? "mm²" : "mm";
  if (!by) return { text: _("no scale on this photo"), value: null, within: null, unit };
  const found = mark.way === "area" ? lengths.area(mark.points, by) : lengths.length(mark.points[0], mark.points[1], by);
  return { text: lengths.words(found, unit), value: found.value, within: found.within, unit };
}

/** @param {Mark} mark */
function named(mark) {
  const way = /** @type {keyof typeof NAMES} */ (mark.way);
  return views.right ? OF_SIDE[/** @type {keyof typeof OF_SIDE} */ (mark.side)][way] : NAMES[way];
}

/** The list, as people read it and as data; and the marks on the photos. */
export function show() {
  for (const each of Object.keys(views)) draw(each);
  close?.toggleAttribute("hidden", !(open?.way === "area" && open.points.length >= 3));
  if (hint) {
    const lacks = !scale(side) && (way === "length" || way === "area");
    hint.textContent = lacks
      ? views.right ? NO_SCALE[/** @type {keyof typeof NO_SCALE} */ (side)] : _("This photo has no scale yet: mark a ruler or the pupils on it.")
      : HINTS[/** @type {keyof typeof HINTS} */ (way)];
  }
  list?.replaceChildren(...marks.map((mark, at) => {
    const found = told(mark);
    const line = document.createElement("li");
    Object.assign(line.dataset, { kind: mark.way, side: mark.side, unit: found.unit });
    if (found.value !== null && found.within !== null) {
      Object.assign(line.dataset, { value: found.value.toFixed(4), within: found.within.toFixed(4) });
    }
    line.dataset.points = JSON.stringify(mark.points.map((point) => [Math.round(point.x * 10) / 10, Math.round(point.y * 10) / 10]));
    const name = document.createElement("span");
    name.textContent = `${named(mark)}: `;
    const value = document.createElement("b");
    value.textContent = found.text;
    const away = document.createElement("button");
    away.type = "button";
    away.textContent = "×";
    away.setAttribute("aria-label", _("Remove %(what)s", { what: `${name.textContent}${found.text}` }));
    away.addEventListener("click", () => {
      marks.splice(at, 1);
      show();
    });
    line.append(name, value, away);
    return line;
  }));
}

/** @param {string} on */
function draw(on) {
  const pane = document.getElementById(on);
  const sheet = pane?.querySelector(".marks");
  const view = views[on];
  const item = view?.world.getItemAt(0);
  if (!sheet || !item) return;
  sheet.replaceChildren();
  if (!measuring()) return;
  const at = (/** @type {Spot} */ point) =>
    view.viewport.pixelFromPoint(item.imageToViewportCoordinates(new OpenSeadragon.Point(point.x, point.y), true), true);
  for (const mark of open ? [...marks, open] : marks) {
    if (mark.side !== on) continue;
    const spots = mark.points.map(at);
    const shape = element(mark.way === "area" && mark !== open ? "polygon" : "polyline", mark.way);
    shape.setAttribute("points", spots.map(({ x, y }) => `${x},${y}`).join(" "));
    sheet.append(shape);
    for (const { x, y } of spots) {
      const dot = element("circle", mark.way);
      for (const [name, value] of Object.entries({ cx: x, cy: y, r: 4 })) dot.setAttribute(name, String(value));
      sheet.append(dot);
    }
    if (mark === open) continue;
    const label = element("text", mark.way);
    label.setAttribute("x", String(spots.reduce((sum, { x }) => sum + x, 0) / spots.length));
    label.setAttribute("y", String(spots.reduce((sum, { y }) => sum + y, 0) / spots.length - 10));
    label.textContent = isScale(mark) ? `${number(mark.mm, 4, 0)} mm` : told(mark).text;
    sheet.append(label);
  }
  if (cross && on === side) {
    const lines = element("path", "cross");
    lines.setAttribute("d", `M${cross.x - 14} ${cross.y}h28M${cross.x} ${cross.y - 14}v28`);
    sheet.append(lines);
  }
}

/** @param {string} name @param {string} kind */
function element(name, kind) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  made.setAttribute("class", kind);
  return made;
}

/** What a key does while measuring; whether it does anything. @param {KeyboardEvent} event */
export function key(event) {
  if (!measuring()) return false;
  const by = event.shiftKey ? 1 : STEP;
  /** @type {Record<string, () => void>} */
  const acts = {
    ArrowLeft: () => move(-by, 0), ArrowRight: () => move(by, 0), ArrowUp: () => move(0, -by), ArrowDown: () => move(0, by),
    Enter: () => (cross ? put(side, cross) : move(0, 0)),
    Backspace: undo,
    Escape: () => (open ? (open = null, show()) : toggle()),
    c: finished, C: finished, x: change, X: change,
  };
  const act = acts[event.key];
  if (act) soon(act);
  return act !== undefined;
}

/** Whether each photo is drawn for the size that its pane has. */
function settled() {
  return Object.values(views).every((view) => {
    const drawn = view.viewport?.getContainerSize();
    const { clientWidth, clientHeight } = view.container;
    return !drawn || !clientWidth || !clientHeight || (drawn.x === clientWidth && drawn.y === clientHeight);
  });
}

/** Do what a key asked for: in order, and on the photo as it is drawn. The bar, as it opens, takes room from the panes, and
 * a photo follows some frames later: a point that is set before would be beside the cross. @param {() => void} act */
function soon(act) {
  early.push(act);
  if (early.length === 1) later(FRAMES);
}

/** @param {number} frames to wait for at most */
function later(frames) {
  if (frames > 0 && !settled()) {
    requestAnimationFrame(() => later(frames - 1));
    return;
  }
  const due = early;
  early = [];
  for (const act of due) if (measuring()) act();
}

function finished() {
  finish();
  show();
}

/** The other photo. */
function change() {
  if (!views.right) return;
  side = side === "left" ? "right" : "left";
  open = null;
  move(0, 0, true);
}

/** @param {number} x @param {number} y @param {boolean} anew */
function move(x, y, anew = false) {
  const pane = document.getElementById(side);
  if (!pane) return;
  if (!cross || anew) cross = { x: pane.clientWidth / 2, y: pane.clientHeight / 2 };
  cross = {
    x: Math.min(pane.clientWidth, Math.max(0, cross.x + x)),
    y: Math.min(pane.clientHeight, Math.max(0, cross.y + y)),
  };
  show();
}

function undo() {
  if (open?.points.length) open.points.pop();
  else marks.pop();
  show();
}

bar?.addEventListener("click", (event) => {
  const chosen = event.target instanceof Element ? event.target.closest("[data-way]") : null;
  if (!(chosen instanceof HTMLElement)) return;
  choose(chosen.dataset.way ?? "length");
  document.getElementById("panes")?.focus({ preventScroll: true }); // the arrows move the cross from here on
});
close?.addEventListener("click", finished);
document.getElementById("measure-clear")?.addEventListener("click", () => {
  marks = [];
  open = null;
  choose("ruler");
});
