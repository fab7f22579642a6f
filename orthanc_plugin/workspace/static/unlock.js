// The digits of the PIN under one's thumb. Without this script the field is typed into.

const pad = /** @type {HTMLElement | null} */ (document.getElementById("pad"));
const secret = /** @type {HTMLInputElement | null} */ (document.getElementById("secret"));
const other = document.getElementById("take-back");

if (pad && secret) {
  pad.hidden = false;
  if (other) other.hidden = true;
  if (matchMedia("(pointer: coarse)").matches) secret.inputMode = "none"; // this pad, and no second one above it
  pad.addEventListener("click", (event) => {
    const button = event.target instanceof Element ? event.target.closest("button") : null;
    if (!button || button.type === "submit") return;
    secret.value = "erase" in button.dataset ? secret.value.slice(0, -1) : secret.value + (button.dataset.digit ?? "");
  });
}
