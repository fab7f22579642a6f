// @ts-check
// Lengths and areas out of points that were set on a photo, each with how sure it is. Points are in pixels of the photo;
// what is stated is the half width of the interval that holds 95 of 100 measurements of the same thing.

import { number } from "./words.js";

/** @typedef {{x: number, y: number, s: number}} Spot a point; s: standard deviation of how it was set, each way */
/** @typedef {{mm: number, relative: number}} Scale millimetres for a pixel; its relative standard deviation */
/** @typedef {{value: number, within: number}} Measured */

export const WITHIN = 1.96; // standard deviations
export const READING = 0.25; // millimetres, standard deviation: how well a ruler's lines are read
export const OWN = 0.5; // millimetres, standard deviation: a pupil distance that was measured
export const PUPILS = 63.4; // millimetres: adults' mean
export const PUPILS_SPREAD = 3.8; // and standard deviation (Dodgson 2004, over the ANSUR survey)

/** @param {Spot} p @param {Spot} q */
function apart(p, q) {
  return Math.hypot(p.x - q.x, p.y - q.y);
}

/** How sure a distance is that two points span, as a part of it. @param {Spot} p @param {Spot} q */
function set(p, q) {
  return Math.hypot(p.s, q.s) / apart(p, q);
}

/** The scale of a known length between two points. @param {Spot} p @param {Spot} q
 * @param {number} mm @param {number} spread its standard deviation @returns {Scale | null} */
export function scaleOf(p, q, mm, spread) {
  const pixels = apart(p, q);
  if (!(mm > 0) || !(pixels > 0)) return null;
  return { mm: mm / pixels, relative: Math.hypot(spread / mm, set(p, q)) };
}

/** The scale of a photo that lies on one whose scale is known. @param {Scale} scale
 * @param {number} factor pixels of that photo for each of this one @param {number} error of the alignment, per cent of
 * its diagonal: two points half a diagonal apart may be off by it each @returns {Scale} */
export function carried(scale, factor, error) {
  return { mm: scale.mm * factor, relative: Math.hypot(scale.relative, (2 * Math.SQRT2 * error) / 100 / WITHIN) };
}

/** Millimetres between two points. @param {Spot} p @param {Spot} q @param {Scale} scale @returns {Measured} */
export function length(p, q, scale) {
  const value = apart(p, q) * scale.mm;
  return { value, within: WITHIN * value * Math.hypot(scale.relative, apart(p, q) ? set(p, q) : 0) };
}

/** Square millimetres within points, in their order. @param {Spot[]} points @param {Scale} scale @returns {Measured} */
export function area(points, scale) {
  let twice = 0;
  let variance = 0; // of the area in pixels: by how much each point would change it
  points.forEach((point, at) => {
    const before = points[(at + points.length - 1) % points.length];
    const after = points[(at + 1) % points.length];
    twice += point.x * after.y - after.x * point.y;
    variance += (point.s ** 2 * ((after.y - before.y) ** 2 + (after.x - before.x) ** 2)) / 4;
  });
  const value = (Math.abs(twice) / 2) * scale.mm ** 2;
  return { value, within: WITHIN * Math.hypot(Math.sqrt(variance) * scale.mm ** 2, value * 2 * scale.relative) };
}

/** In words: no more places than the uncertainty has a meaning in. @param {Measured} found @param {string} unit */
export function words(found, unit) {
  const places = Math.min(2, Math.max(0, 1 - Math.floor(Math.log10(Math.max(found.within, 1e-6)))));
  return `${number(found.value, places)} ± ${number(found.within, places)} ${unit}`;
}
