// @ts-check
// The patient list follows the typing; arrows walk through it, Enter opens, a slash comes back to the search.

const field = /** @type {HTMLInputElement} */ (document.getElementById("q"));
const found = /** @type {HTMLElement} */ (document.getElementById("found"));
let asked = 0;
let timer = 0;
let shown = field.value.trim();

async function look() {
  const text = field.value.trim();
  if (text === shown) return;
  const mine = ++asked;
  const address = text ? `/chart?q=${encodeURIComponent(text)}` : "/chart";
  const answer = await fetch(address, { headers: { "X-Part": "people" }, redirect: "error" }).catch(() => null);
  if (mine !== asked) return; // somebody typed on
  if (!answer?.ok) {
    location.href = address;
    return;
  }
  const part = new DOMParser().parseFromString(await answer.text(), "text/html");
  found.replaceChildren(...part.body.childNodes);
  shown = text;
  history.replaceState(null, "", address);
}

field.addEventListener("input", () => {
  clearTimeout(timer);
  timer = window.setTimeout(look, 90);
});
field.form?.addEventListener("submit", (event) => {
  event.preventDefault();
  clearTimeout(timer);
  look().then(() => {
    const links = found.querySelectorAll("a");
    if (links.length === 1) links[0].click();
    else links[0]?.focus();
  });
});
document.addEventListener("keydown", (event) => {
  if (event.key === "/" && document.activeElement !== field) {
    event.preventDefault();
    field.focus();
    field.select();
    return;
  }
  if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
  const links = [...found.querySelectorAll("a")];
  const at = links.indexOf(/** @type {HTMLAnchorElement} */ (document.activeElement));
  if (at < 0 && document.activeElement !== field) return;
  event.preventDefault();
  const next = at + (event.key === "ArrowDown" ? 1 : -1);
  (next < 0 ? field : links[Math.min(next, links.length - 1)])?.focus();
});
