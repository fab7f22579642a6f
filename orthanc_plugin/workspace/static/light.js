// @ts-check
// Equal light: one function for both photos, never one for each, so that no difference between them is made or hidden.
// It is one gain in linear light, from the pixels of both together; colours stay in the proportion that was taken. Off
// until it is asked for; the recipe is shown, stands in the page's address and in the stage's data, and can be undone.

import { _, number } from "./words.js";

const stage = document.getElementById("compare");
const button = document.getElementById("light");
const word = document.getElementById("lit");
const SAMPLE = 320; // pixels across, of the renditions that are looked at
const BRIGHT = 0.99; // this part of all pixels is darker than what is made nearly white
const WHITE = 0.85; // of full light
const MOST = 1.5; // stops, either way
const RECIPE = "gain of both, linear light, 1";
let asked = 0;

/** Whether it is on. */
export function lit() {
  return stage?.classList.contains("lit") === true;
}

/** What both are shown with, in stops to the hundredth; empty: as they are. */
export function stops() {
  return stage?.dataset.light ? JSON.parse(stage.dataset.light).stops.toFixed(2) : "";
}

/** Linear light of each pixel, 0 to 1: luminance by Rec. 709. @param {Uint8ClampedArray} data */
export function luminances(data) {
  const linear = Array.from({ length: 256 }, (_, value) => {
    const part = value / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  const found = new Float64Array(data.length / 4);
  for (let at = 0; at < found.length; at += 1) {
    const [red, green, blue] = [data[4 * at], data[4 * at + 1], data[4 * at + 2]];
    found[at] = 0.2126 * linear[red] + 0.7152 * linear[green] + 0.0722 * linear[blue];
  }
  return found;
}

/** The one gain for both, and how the photos differ, in stops. @param {Float64Array} left @param {Float64Array} right */
export function recipe(left, right) {
  const all = new Float64Array(left.length + right.length);
  all.set(left);
  all.set(right, left.length);
  const stops = Math.log2(WHITE / Math.max(part(all, BRIGHT), 1e-4));
  const apart = Math.log2(Math.max(part(right, 0.5), 1e-4) / Math.max(part(left, 0.5), 1e-4));
  return { stops: Math.max(-MOST, Math.min(MOST, Math.round(stops * 100) / 100)), apart };
}

/** @param {Float64Array} values @param {number} share */
function part(values, share) {
  const sorted = values.slice().sort();
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
}

/** @param {string} side */
async function sample(side) {
  const address = document.getElementById(side)?.dataset.address ?? "";
  const image = new Image();
  image.src = `${address}${address.includes("?") ? "&" : "?"}width=${SAMPLE}`;
  await image.decode();
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (!context) throw new Error("no canvas");
  context.drawImage(image, 0, 0);
  return luminances(context.getImageData(0, 0, canvas.width, canvas.height).data);
}

/** On or off. */
export async function toggle() {
  if (lit() || button?.getAttribute("aria-busy")) off();
  else await on(null);
}

/** The pair is another one: where it was on, it is found anew. */
export async function again() {
  if (lit()) await on(null);
}

/** As the address says, where it holds a recipe. */
export async function restored() {
  const stated = new URL(location.href).searchParams.get("light");
  const stops = stated === null || stated === "" ? NaN : Number(stated);
  if (Math.abs(stops) <= MOST) await on(stops);
}

function off() {
  asked += 1;
  button?.removeAttribute("aria-busy");
  show(null, "");
}

/** @param {number | null} stated stops that were kept; null: found from the photos */
async function on(stated) {
  if (!stage || !button) return;
  const turn = ++asked;
  button.setAttribute("aria-busy", "true");
  const sides = await Promise.all(["left", "right"].map(sample)).catch(() => null);
  if (turn !== asked) return;
  button.removeAttribute("aria-busy");
  if (!sides) {
    show(null, _("Light not changed: the photos could not be read."));
    return;
  }
  const found = recipe(sides[0], sides[1]);
  const stops = stated ?? found.stops;
  show(stops, `${shifted(stops)} ${remaining(found.apart)}`);
}

/** @param {number} stops */
function shifted(stops) {
  if (Math.abs(stops) < 0.05) return _("Light, the same for both: no change needed, colours as taken.");
  const by = { stops: number(Math.abs(stops), 1) };
  return stops > 0
    ? _("Light, the same for both: %(stops)s stops brighter, colours as taken.", by)
    : _("Light, the same for both: %(stops)s stops darker, colours as taken.", by);
}

/** @param {number} apart stops */
function remaining(apart) {
  if (Math.abs(apart) < 0.1) return _("The photos are equally bright.");
  const by = { stops: number(Math.abs(apart), 1) };
  return apart > 0
    ? _("The right photo stays %(stops)s stops brighter than the left.", by)
    : _("The right photo stays %(stops)s stops darker than the left.", by);
}

/** @param {number | null} stops @param {string} text */
function show(stops, text) {
  for (const each of document.querySelectorAll("#equal-light [slope]")) each.setAttribute("slope", String(2 ** (stops ?? 0)));
  stage?.classList.toggle("lit", stops !== null);
  button?.setAttribute("aria-pressed", String(stops !== null));
  if (stage) {
    if (stops === null) delete stage.dataset.light;
    else stage.dataset.light = JSON.stringify({ recipe: RECIPE, stops });
  }
  const address = new URL(location.href);
  if (stops === null) address.searchParams.delete("light");
  else address.searchParams.set("light", stops.toFixed(2));
  if (address.href !== location.href) history.replaceState(history.state, "", address);
  if (!word) return;
  word.hidden = !text;
  word.textContent = text;
}
