// @ts-check
// Choosing two photos of the timeline. Without this script the form's check boxes do the same, less nicely.

const form = /** @type {HTMLFormElement} */ (document.getElementById("choose"));
const slots = /** @type {HTMLElement} */ (document.getElementById("slots"));
const clear = /** @type {HTMLButtonElement} */ (document.getElementById("clear"));
const go = /** @type {HTMLButtonElement} */ (document.getElementById("go"));
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
    hint.textContent = "Choose two photos to compare";
    slots.replaceChildren(hint);
  } else {
    const parts = ordered.map(slot);
    if (ordered.length === 1) {
      const free = document.createElement("div");
      free.className = "slot free";
      free.textContent = "Choose another";
      parts.push(free);
    }
    slots.replaceChildren(...parts);
  }
  clear.hidden = ordered.length === 0;
  go.disabled = ordered.length === 0;
}

form.addEventListener("change", (event) => {
  const box = event.target;
  if (!(box instanceof HTMLInputElement) || box.name !== "photo") return;
  chosen = chosen.filter((entry) => entry !== box);
  if (box.checked) chosen.push(box);
  for (const extra of chosen.splice(0, Math.max(0, chosen.length - 2))) extra.checked = false;
  draw();
  if (chosen.length === 2 && box.checked) go.focus({ preventScroll: true });
});
form.addEventListener("submit", (event) => {
  event.preventDefault();
  const ordered = [...chosen].sort((a, b) => Number(a.dataset.order) - Number(b.dataset.order));
  if (ordered.length === 0) return;
  const query = new URLSearchParams({ left: ordered[0].value });
  if (ordered[1]) query.set("right", ordered[1].value);
  location.href = `${form.action}?${query}`;
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
  ).slice(0, 2).map((box) => /** @type {HTMLInputElement} */ (box));
  draw();
}

// Those chosen among other photos stand in the tray.
const kept = document.getElementById("kept");
if (kept) kept.hidden = true;

// The back button brings boxes back checked, some browsers after this script has run.
window.addEventListener("pageshow", again);
again();
