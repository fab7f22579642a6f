// @ts-check
// One photo over the other: a slider between them, the one through the other, or the one after the other.

import { _ } from "./words.js";

const RATE = 900; // milliseconds that each photo is seen while they take turns: far below three flashes a second

const stage = document.getElementById("compare");
const panes = document.getElementById("panes");
const mixing = document.getElementById("mixing");
const mix = /** @type {HTMLInputElement | null} */ (document.getElementById("mix"));
const pause = document.getElementById("pause");
const still = matchMedia("(prefers-reduced-motion: reduce)");
let turning = 0;
/** @type {Record<string, number>} */
const kept = { slider: 50, blend: 50 };

export function mode() {
  return stage?.dataset.mode ?? "side";
}

/** @param {string} next */
export function setMode(next) {
  if (!stage || !mixing || !mix) return;
  stage.dataset.mode = next;
  for (const button of document.querySelectorAll("[data-mode]")) {
    if (button instanceof HTMLButtonElement) button.setAttribute("aria-pressed", String(button.dataset.mode === next));
  }
  mixing.hidden = next === "side";
  mix.hidden = next === "blink";
  mix.value = String(kept[next] ?? 0);
  mix.setAttribute("aria-label", next === "slider" ? _("Where the left photo ends") : _("How much of the right photo"));
  pause?.toggleAttribute("hidden", next !== "blink");
  stop();
  if (next === "blink" && !still.matches) start();
  show();
}

/** How far the slider stands, or how much of the right photo is seen. */
function show() {
  if (!panes || !mix) return;
  const value = Number(mix.value);
  if (mode() in kept) kept[mode()] = value;
  // The slider: the right photo lies to the right of it. Blending and taking turns: so much of the right photo.
  panes.style.setProperty("--mix", String(value / 100));
  panes.style.setProperty("--at", `${value}%`);
}

function start() {
  stop();
  turning = window.setInterval(() => other(), RATE);
  tell();
}

function stop() {
  window.clearInterval(turning);
  turning = 0;
  tell();
}

function tell() {
  if (!pause) return;
  pause.textContent = turning ? _("Pause") : _("Play");
  pause.setAttribute("aria-pressed", String(!turning));
}

/** The photos take turns, or stop. */
export function toggle() {
  if (turning) stop();
  else start();
}

/** Show the other photo. */
export function other() {
  if (!mix || mode() === "side") return;
  mix.value = Number(mix.value) < 50 ? "100" : "0";
  show();
}

/** By hand: whoever looks at one photo wants it to stay. */
export function flip() {
  stop();
  other();
}

/** @param {number} by per cent */
export function nudge(by) {
  if (!mix || !(mode() in kept)) return;
  mix.value = String(Number(mix.value) + by);
  show();
}

mix?.addEventListener("input", show);

// The line itself can be taken, too.
const line = document.getElementById("line");
line?.addEventListener("pointerdown", (event) => {
  event.preventDefault();
  event.stopPropagation();
  line.setPointerCapture(event.pointerId);
});
line?.addEventListener("pointermove", (event) => {
  if (!line.hasPointerCapture(event.pointerId) || !panes || !mix) return;
  const frame = panes.getBoundingClientRect();
  mix.value = String((100 * (event.clientX - frame.left)) / frame.width);
  show();
});
