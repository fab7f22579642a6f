// @ts-check
// The form of today's session: a scanner's Enter fills the row, a press on the photo makes a point. Without this script
// the form's buttons and the table of numbers do the same.

import { _ } from "./words.js";

const form = /** @type {HTMLFormElement} */ (document.getElementById("today"));
const SVG = "http://www.w3.org/2000/svg";

/** @param {string} name @returns {HTMLInputElement | null} */
function field(name) {
  const found = form.elements.namedItem(name);
  return found instanceof HTMLInputElement ? found : null;
}

// --- what was scanned ------------------------------------------------------------------------------------------------

/** @param {HTMLInputElement} scan @param {string} words */
function say(scan, words) {
  const id = `fault-${scan.name}`;
  document.getElementById(id)?.remove();
  scan.toggleAttribute("aria-invalid", false);
  scan.removeAttribute("aria-describedby");
  if (!words) return;
  const told = document.createElement("small");
  told.className = "fault";
  told.id = id;
  told.setAttribute("role", "alert");
  told.textContent = words;
  scan.setAttribute("aria-invalid", "true");
  scan.setAttribute("aria-describedby", id);
  scan.after(told);
}

/** @param {HTMLInputElement} scan */
async function read(scan) {
  const key = scan.dataset.scan ?? "";
  if (!scan.value.trim()) return say(scan, "");
  const body = new URLSearchParams({ csrf: field("csrf")?.value ?? "", scan: scan.value });
  const answer = await fetch("/chart/scan", { method: "POST", body, redirect: "error" }).catch(() => null);
  const told = answer?.ok ? await answer.json() : null;
  if (!told) return say(scan, _("The scan cannot be read now: type lot and expiry from the pack."));
  if (told.wrong) return say(scan, told.wrong);
  const differs = [];
  for (const [name, words] of [["lot", _("lot")], ["expires", _("expiry")], ["serial", _("serial number")], ["name", ""]]) {
    const target = field(`${name}-${key}`);
    const value = told[name];
    if (!target || !value || target.value === value) continue;
    // What stands there from last time gives way to today's pack; what a person typed today does not.
    if (!target.value.trim() || target.value === target.defaultValue) target.value = value;
    else if (name !== "name") differs.push(`${words} ${value}`);
  }
  const given = field(`given-${key}`);
  if (given) given.checked = true;
  say(scan, differs.length ? _("The scan says %(what)s: correct one of them.", { what: differs.join(", ") }) : "");
  if (!differs.length) field(`dose-${key}`)?.focus();
}

form.addEventListener("keydown", (event) => {
  const target = event.target;
  if (event.key !== "Enter" || !(target instanceof HTMLInputElement) || target.type === "checkbox") return;
  event.preventDefault(); // a scanner ends with Enter; a form half filled is not to be sent by it
  if (target.dataset.scan !== undefined) read(target);
});
form.addEventListener("change", (event) => {
  if (event.target instanceof HTMLInputElement && event.target.dataset.scan !== undefined) read(event.target);
});
form.addEventListener("click", (event) => {
  const button = event.target instanceof Element ? event.target.closest(".scan button") : null;
  const scan = button?.parentElement?.querySelector("input");
  if (!scan) return;
  event.preventDefault();
  read(scan);
});

// --- injection points ------------------------------------------------------------------------------------------------

/** @param {HTMLElement} map */
function rows(map) {
  return [...map.querySelectorAll(".points tbody tr")].map((row) => {
    const [x, y, dose] = [...row.querySelectorAll("input")];
    return { row, x, y, dose };
  });
}

/** @param {string} said */
function place(said) {
  const value = Number(said.trim().replace(",", ".") || NaN);
  return value >= 0 && value <= 100 ? value : null;
}

/** @param {HTMLElement} map */
function draw(map) {
  const drawing = map.querySelector("svg");
  if (!drawing) return;
  const made = [];
  rows(map).forEach(({ x, y }, number) => {
    const at = [place(x.value), place(y.value)];
    if (at[0] === null || at[1] === null) return;
    const circle = document.createElementNS(SVG, "circle");
    circle.setAttribute("cx", `${at[0]}%`);
    circle.setAttribute("cy", `${at[1]}%`);
    circle.setAttribute("r", "9");
    const text = document.createElementNS(SVG, "text");
    text.setAttribute("x", `${at[0]}%`);
    text.setAttribute("y", `${at[1]}%`);
    text.setAttribute("dy", "0.36em");
    text.textContent = String(number + 1);
    made.push(circle, text);
  });
  drawing.replaceChildren(...made);
}

/** @param {HTMLElement} map */
function another(map) {
  const known = rows(map);
  const row = /** @type {HTMLElement} */ (known[known.length - 1].row.cloneNode(true));
  const number = known.length;
  for (const entry of row.querySelectorAll(".fault")) entry.remove();
  for (const entry of row.querySelectorAll("input")) {
    entry.name = entry.name.replace(/\d+$/, String(number));
    entry.value = "";
    entry.removeAttribute("aria-invalid");
    entry.removeAttribute("aria-describedby");
    entry.setAttribute("aria-label", (entry.getAttribute("aria-label") ?? "").replace(/\d+/, String(number + 1)));
  }
  const head = row.querySelector("th");
  if (head) head.textContent = String(number + 1);
  known[known.length - 1].row.after(row);
  const count = field(`points-${map.dataset.map}`);
  if (count) count.value = String(number + 1);
  return rows(map)[number];
}

const MOST = 60;

for (const map of /** @type {NodeListOf<HTMLElement>} */ (form.querySelectorAll(".map"))) {
  const frame = /** @type {HTMLElement} */ (map.querySelector(".frame"));
  map.querySelector(".with-script")?.toggleAttribute("hidden", false);
  frame.classList.add("live");
  frame.addEventListener("click", (event) => {
    const image = frame.querySelector("img");
    if (!image) return;
    const box = image.getBoundingClientRect();
    const at = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
    if (at.some((each) => each < 0 || each > 1)) return;
    const known = rows(map);
    const free = known.find(({ x, y }) => !x.value.trim() && !y.value.trim());
    if (!free && known.length >= MOST) return;
    const row = free ?? another(map);
    [row.x.value, row.y.value] = at.map((each) => (Math.round(each * 1000) / 10).toString());
    draw(map);
    row.dose.focus({ preventScroll: true });
  });
  map.addEventListener("input", () => draw(map));
  map.addEventListener("keydown", (event) => {
    const target = event.target;
    if (!(target instanceof HTMLInputElement) || !/^[xy]-/.test(target.name)) return;
    const by = { ArrowUp: 1, ArrowDown: -1 }[event.key];
    if (!by) return;
    event.preventDefault();
    const value = (place(target.value) ?? 50) + by * (event.shiftKey ? 5 : 0.5);
    target.value = String(Math.round(Math.min(100, Math.max(0, value)) * 10) / 10);
    draw(map);
  });
  map.querySelector("[name^=map-photo-]")?.addEventListener("change", (event) => {
    const image = frame.querySelector("img");
    if (!(event.target instanceof HTMLSelectElement) || !image) return;
    image.src = `/chart/photo/${encodeURIComponent(event.target.value)}?width=1024`;
  });
}
