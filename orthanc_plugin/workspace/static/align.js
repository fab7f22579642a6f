// @ts-check
// The right photo turned, scaled and moved onto the left one, as the server found or a person kept; its pixels stay as
// they are. What is kept is what the server found: this page sends no transform.

import { _ } from "./words.js";

/* global OpenSeadragon */
const word = document.getElementById("aligned");
const button = document.getElementById("align");
const keeping = /** @type {HTMLFormElement | null} */ (document.getElementById("keeping"));
/** @type {{scale: number, angle: number, x: number, y: number, width: number, error: number, kept: string} | null} */
let found = null;
let asked = 0; // a later question makes the answer to an earlier one void

/** Whether the right photo lies on the left one. */
export function aligned() {
  return found !== null;
}

/** The right photo's place on the left one in widths of the left, its error in per cent of the left one's diagonal. */
export function place() {
  return found;
}

/** Whether somebody kept where the right photo of this pair lies. */
export function kept() {
  return button?.hasAttribute("data-kept") === true;
}

/** Whether it should. */
export function wanted() {
  return button?.getAttribute("aria-pressed") === "true";
}

/** @param {any} right the viewer of the right photo */
export function release(right) {
  asked += 1;
  button?.setAttribute("aria-pressed", "false");
  button?.removeAttribute("aria-busy");
  say("");
  forget(right);
}

/** As it was taken, whatever is wanted next. @param {any} right */
export function forget(right) {
  found = null;
  const item = right?.world.getItemAt(0);
  if (!item) return;
  item.setRotation(0, true);
  item.setWidth(1, true);
  item.setPosition(new OpenSeadragon.Point(0, 0), true);
}

/** Ask where the right photo lies, and lay it there. @param {any} right @returns {Promise<boolean>} */
export async function align(right) {
  if (!button || !right?.world.getItemCount()) return false;
  const turn = ++asked;
  button.setAttribute("aria-pressed", "true");
  button.setAttribute("aria-busy", "true");
  say(_("Aligning …"));
  const answer = await fetch(button.dataset.address ?? "", { redirect: "error" }).catch(() => null);
  const said = answer?.ok ? await answer.json().catch(() => null) : null;
  if (turn !== asked) return false;
  button.removeAttribute("aria-busy");
  if (!said?.aligned) {
    button.setAttribute("aria-pressed", "false");
    forget(right);
    say(said?.text ?? _("Not aligned: the photos could not be loaded."));
    return false;
  }
  lies(said, right);
  return true;
}

/** @param {any} said what the server answered @param {any} right */
function lies(said, right) {
  found = said;
  lay(right);
  button?.toggleAttribute("data-kept", Boolean(said.kept));
  say(said.kept ? `${said.text} ${said.kept}.` : said.text);
  offer(said.kept ? _("Take back") : _("Keep alignment"), said.kept ? "no" : "yes");
}

/** @param {string} text of the button @param {string} value what it sends */
function offer(text, value) {
  const submit = keeping?.querySelector("button");
  if (!keeping || !submit) return;
  keeping.hidden = false;
  submit.textContent = text;
  submit.value = value;
}

/** Keep it, or take it back. @param {any} right */
export async function keep(right) {
  const submit = keeping?.querySelector("button");
  if (!keeping || !submit || !found || submit.hasAttribute("aria-busy")) return;
  const turn = asked;
  const body = new URLSearchParams([["keep", submit.value]]);
  body.set("csrf", new FormData(keeping).get("csrf")?.toString() ?? "");
  submit.setAttribute("aria-busy", "true"); // a button that is disabled loses the focus, and the keys with it
  const answer = await fetch(button?.dataset.address ?? "", { method: "POST", body, redirect: "error" }).catch(() => null);
  const said = await answer?.json().catch(() => null);
  submit.removeAttribute("aria-busy");
  if (turn !== asked) return;
  if (said?.aligned) lies(said, right);
  else say(said?.text ?? _("Not kept: the server could not be reached. Please try again."));
}

/** @param {any} right */
function lay(right) {
  const item = right.world.getItemAt(0);
  if (!item || !found) return;
  const size = item.getContentSize();
  const height = (found.width * size.y) / size.x;
  item.setWidth(found.width, true);
  item.setPosition(new OpenSeadragon.Point(found.x - found.width / 2, found.y - height / 2), true);
  item.setRotation(found.angle, true);
}

/** @param {string} text */
function say(text) {
  if (keeping) keeping.hidden = true;
  if (!word) return;
  word.hidden = !text;
  word.textContent = text;
}
