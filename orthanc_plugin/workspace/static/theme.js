// @ts-check
// Light or dark: what the system says, until somebody presses the button. The choice is a cookie, so that the next
// page arrives in its colours. And in a bar that is too narrow, the place where somebody is stands in sight.

document.querySelector(".places [aria-current]")?.scrollIntoView({ inline: "center", block: "nearest" });

const button = document.getElementById("theme");
button?.addEventListener("click", () => {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  document.cookie = `photospine-theme=${root.dataset.theme};path=/;max-age=31536000;samesite=lax`;
});
