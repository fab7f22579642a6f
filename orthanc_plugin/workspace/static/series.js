// @ts-check
// Photos in a row that zoom and move together: the same place and the same zoom in each.

import { place, viewer } from "./view.js";

/* global OpenSeadragon */
const ZOOM = 1.25;
const MOVE = 0.12; // of the part that is seen

const row = /** @type {HTMLElement} */ (document.getElementById("row"));
const output = document.getElementById("scale");
/** @type {any[]} */
let views = [];
/** The view that is being moved; the others follow. @type {any} */
let leading = null;

/** @param {any} view */
function follow(view) {
  if (view !== leading) return;
  const from = place(view);
  for (const other of views) {
    if (other === view || !other.world.getItemCount()) continue;
    const to = place(other);
    other.viewport.zoomTo(from.zoom * to.home, null, true);
    other.viewport.panTo(new OpenSeadragon.Point(from.x, from.y * to.ratio), true);
  }
}

function scale() {
  const view = leading ?? views[0];
  if (!output || !view?.world.getItemCount()) return;
  output.textContent = `${Math.round((view.viewport.getZoom(true) / view.viewport.getHomeZoom()) * 100)} %`;
}

/** @param {(view: any) => void} act */
function lead(act) {
  leading = leading ?? views[0];
  if (leading) act(leading);
}

/** @param {number} x @param {number} y */
function move(x, y) {
  lead((view) => {
    const seen = view.viewport.getBounds();
    view.viewport.panBy(new OpenSeadragon.Point(x * seen.width * MOVE, y * seen.height * MOVE));
  });
}

/** @type {Record<string, () => void>} */
const acts = {
  in: () => lead((view) => view.viewport.zoomBy(ZOOM)),
  out: () => lead((view) => view.viewport.zoomBy(1 / ZOOM)),
  fit: () => {
    const led = leading;
    leading = null;
    for (const view of views) view.viewport.goHome();
    leading = led;
  },
};

const KEYS = /** @type {Record<string, () => void>} */ ({
  "+": acts.in, "=": acts.in, "-": acts.out, "_": acts.out, "0": acts.fit,
  ArrowLeft: () => move(-1, 0), ArrowRight: () => move(1, 0), ArrowUp: () => move(0, -1), ArrowDown: () => move(0, 1),
});

document.addEventListener("click", (event) => {
  const button = event.target instanceof Element ? event.target.closest("[data-do]") : null;
  if (button instanceof HTMLElement) acts[button.dataset.do ?? ""]?.();
});
document.getElementById("main")?.addEventListener("keydown", (event) => {
  const act = KEYS[event.key];
  if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  act();
});

/** @param {HTMLElement} pane */
async function open(pane) {
  const view = await viewer(pane);
  for (const gesture of ["canvas-press", "canvas-scroll", "canvas-pinch", "canvas-double-click"]) {
    view.addHandler(gesture, () => (leading = view));
  }
  view.addHandler("viewport-change", () => follow(view));
  view.addHandler("update-viewport", scale);
  return view;
}

views = await Promise.all([...row.querySelectorAll(".pane")].map((pane) => open(/** @type {HTMLElement} */ (pane))));
row.focus({ preventScroll: true });
