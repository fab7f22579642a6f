// @ts-check
// The right photo turned, scaled and moved onto the left one, as the server found; its pixels stay as they are.

/* global OpenSeadragon */
const word = document.getElementById("aligned");
const button = document.getElementById("align");
/** @type {{scale: number, angle: number, x: number, y: number, width: number} | null} */
let found = null;
let asked = 0; // a later question makes the answer to an earlier one void

/** Whether the right photo lies on the left one. */
export function aligned() {
  return found !== null;
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
  say("Aligning …");
  const answer = await fetch(button.dataset.address ?? "", { redirect: "error" }).catch(() => null);
  const said = answer?.ok ? await answer.json().catch(() => null) : null;
  if (turn !== asked) return false;
  button.removeAttribute("aria-busy");
  if (!said?.aligned) {
    button.setAttribute("aria-pressed", "false");
    forget(right);
    say(said?.text ?? "Not aligned: the photos could not be loaded.");
    return false;
  }
  found = said;
  lay(right);
  say(said.text);
  return true;
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
  if (!word) return;
  word.hidden = !text;
  word.textContent = text;
}
