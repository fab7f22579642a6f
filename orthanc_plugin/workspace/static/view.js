// @ts-check
// One photo that can be zoomed and moved. OpenSeadragon draws it from its renditions.

/* global OpenSeadragon */
const STEPS = [640, 1024, 1600, 2400];

// OpenSeadragon would write a style element into the page, which the content policy refuses; the rule is in our own
// sheet. It looks for an element of this name first, and takes one that styles nothing.
const already = document.createElementNS("urn:photospine", "style");
already.setAttribute("data-openseadragon-mobile-css", "true");
document.head.append(already);

/** @param {string} address @param {number} width */
function sized(address, width) {
  return width ? `${address}${address.includes("?") ? "&" : "?"}width=${width}` : address;
}

/** @param {HTMLElement} pane */
export async function levels(pane) {
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

/** A photo drawn in its pane. @param {HTMLElement} pane */
export async function viewer(pane) {
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
  view.canvas.removeAttribute("tabindex"); // all photos of a page are one stop for the keyboard
  view.addHandler("open", () => pane.classList.add("live"));
  view.addHandler("tile-load-failed", () => missing(pane));
  return view;
}

/** Wait until a photo is there, or cannot be had. @param {any} view */
export function drawn(view) {
  return new Promise((done) => {
    if (view.world.getItemCount()) return done(null);
    view.addOnceHandler("open", done);
    view.addOnceHandler("open-failed", done);
  });
}

/** Place of a view: its centre in photo widths and heights, its zoom against the fitted photo. @param {any} view */
export function place(view) {
  const home = view.viewport.getHomeZoom();
  const centre = view.viewport.getCenter(false);
  const item = view.world.getItemAt(0);
  const ratio = item ? item.getContentSize().y / item.getContentSize().x : 1;
  return { x: centre.x, y: centre.y / ratio, zoom: view.viewport.getZoom(false) / home, ratio, home };
}
