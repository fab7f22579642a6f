// @ts-check
// The photo before lies over the one after, and a finger draws it aside. Without this script they stand side by side.

const reveal = document.getElementById("reveal");
const cut = document.getElementById("cut");

if (reveal && cut instanceof HTMLInputElement) {
  const show = () => reveal.style.setProperty("--cut", `${cut.value}%`);
  cut.addEventListener("input", show);
  cut.hidden = false;
  reveal.classList.add("laid");
  show();
}
