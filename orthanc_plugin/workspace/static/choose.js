// @ts-check
// Choosing photos of the timeline, two or more. Without this script the form's check boxes do the same, less nicely.

import { _ } from "./words.js";

const form = /** @type {HTMLFormElement} */ (document.getElementById("choose"));
const slots = /** @type {HTMLElement} */ (document.getElementById("slots"));
const clear = /** @type {HTMLButtonElement} */ (document.getElementById("clear"));
const go = /** @type {HTMLButtonElement} */ (document.getElementById("go"));
const MOST = Number(form.dataset.most);
const open = [...form.querySelectorAll(".tile .open")].filter((link) => link instanceof HTMLAnchorElement);
const alone = new Map(open.map((link) => [link, { href: link.href, name: link.getAttribute("aria-label") ?? "" }]));
/** @type {HTMLInputElement[]} */
let chosen = [];

/** @param {HTMLInputElement} box */
function slot(box) {
  const made = document.createElement("div");
  made.className = "slot";
  const image = document.createElement("img");
  image.src = box.dataset.thumb ?? "";
  image.alt = "";
  const text = document.createElement("span");
  text.textContent = box.dataset.date ?? "";
  const name = document.createElement("small");
  name.textContent = box.dataset.name ?? "";
  text.append(name);
  made.append(image, text);
  return made;
}

/** @param {URLSearchParams} query */
function keepIn(query) {
  query.delete("photo");
  for (const box of chosen) query.append("photo", box.value);
}

// What is chosen stands in the address, so that filters, reloading and the way back keep it.
function keep() {
  const at = new URL(location.href);
  const former = at.searchParams.getAll("photo");
  if (former.length !== chosen.length || chosen.some((box, place) => box.value !== former[place])) {
    keepIn(at.searchParams);
    history.replaceState(history.state, "", at);
  }
  for (const link of document.querySelectorAll("a[data-keeps]")) {
    if (!(link instanceof HTMLAnchorElement)) continue;
    const to = new URL(link.href);
    keepIn(to.searchParams);
    link.href = to.href;
  }
  for (const other of document.querySelectorAll("form[data-keeps]")) {
    for (const field of other.querySelectorAll("input[name=photo]")) field.remove();
    for (const box of chosen) {
      const field = document.createElement("input");
      field.type = "hidden";
      field.name = "photo";
      field.value = box.value;
      other.append(field);
    }
  }
}

function draw() {
  keep();
  const ordered = [...chosen].sort((a, b) => Number(a.dataset.order) - Number(b.dataset.order));
  for (const box of form.querySelectorAll("input[name=photo]")) {
    const pick = box.parentElement?.querySelector(".pick");
    if (pick instanceof HTMLElement) pick.dataset.place = String(ordered.indexOf(/** @type {HTMLInputElement} */ (box)) + 1);
  }
  if (ordered.length === 0) {
    const hint = document.createElement("p");
    hint.textContent = slots.dataset.none ?? "";
    slots.replaceChildren(hint);
  } else {
    const parts = ordered.map(slot);
    if (ordered.length === 1) {
      const free = document.createElement("div");
      free.className = "slot free";
      free.textContent = slots.dataset.another ?? "";
      parts.push(free);
    }
    slots.replaceChildren(...parts);
  }
  beside();
  clear.hidden = ordered.length === 0;
  go.disabled = ordered.length === 0;
}

/** The chosen photos in order of time. @param {HTMLInputElement[]} boxes */
function address(boxes) {
  const ordered = [...boxes].sort((a, b) => Number(a.dataset.order) - Number(b.dataset.order));
  if (ordered.length > 2) return `${form.action}/series?${new URLSearchParams(ordered.map((box) => ["photo", box.value]))}`;
  const query = new URLSearchParams({ left: ordered[0].value });
  if (ordered[1]) query.set("right", ordered[1].value);
  return `${form.action}?${query}`;
}

/** Once a photo is chosen, every other one opens beside it: two clicks for any two. */
function beside() {
  const one = chosen.length === 1 ? chosen[0] : null;
  form.classList.toggle("paired", Boolean(one));
  for (const link of open) {
    const was = alone.get(link);
    const box = link.closest(".tile")?.querySelector("input[name=photo]");
    if (!was || !(box instanceof HTMLInputElement)) continue;
    link.href = one && box !== one ? address([one, box]) : was.href;
    link.setAttribute("aria-label", one && box !== one ? _("Compare with %(name)s, %(date)s", { name: box.dataset.name ?? "", date: box.dataset.date ?? "" }) : was.name);
  }
}

// Shift and a second photo: compared at once.
form.addEventListener("click", (event) => {
  const box = event.target;
  if (!(box instanceof HTMLInputElement) || box.name !== "photo" || !event.shiftKey) return;
  const others = chosen.filter((entry) => entry !== box);
  if (others.length !== 1) return;
  event.preventDefault();
  location.href = address([others[0], box]);
});
form.addEventListener("change", (event) => {
  const box = event.target;
  if (!(box instanceof HTMLInputElement) || box.name !== "photo") return;
  chosen = chosen.filter((entry) => entry !== box);
  if (box.checked) chosen.push(box);
  for (const extra of chosen.splice(0, Math.max(0, chosen.length - MOST))) extra.checked = false;
  draw();
  if (chosen.length === 2 && box.checked) go.focus({ preventScroll: true });
});
form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (chosen.length) location.href = address(chosen);
});
clear.addEventListener("click", () => {
  for (const box of chosen) box.checked = false;
  const last = chosen.at(-1);
  chosen = [];
  draw();
  last?.focus();
});

function again() {
  chosen = [...form.querySelectorAll("input[name=photo]")].filter(
    (box) => /** @type {HTMLInputElement} */ (box).checked,
  ).slice(0, MOST).map((box) => /** @type {HTMLInputElement} */ (box));
  draw();
}

// Those chosen among other photos stand in the tray.
const kept = document.getElementById("kept");
if (kept) kept.hidden = true;

// The back button brings boxes back checked, some browsers after this script has run.
window.addEventListener("pageshow", again);
again();
