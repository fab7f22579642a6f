// The signature: strokes of a pen, a finger or a mouse, kept as numbers. Without this script a name is typed.

const field = document.getElementById("field");
const canvas = /** @type {HTMLCanvasElement | null} */ (document.getElementById("pen"));
const drawn = /** @type {HTMLInputElement | null} */ (document.getElementById("drawn"));
const pen = canvas?.getContext("2d");
const MOST = 5500; // points, a little below what is taken

if (field && canvas && drawn && pen) {
  field.hidden = false;
  /** @type {number[][]} */
  let strokes = [];
  /** @type {number[] | null} */
  let stroke = null;

  const at = (/** @type {PointerEvent} */ event) => {
    const box = canvas.getBoundingClientRect();
    const x = Math.round(((event.clientX - box.left) / box.width) * canvas.width);
    const y = Math.round(((event.clientY - box.top) / box.height) * canvas.height);
    return [Math.min(Math.max(x, 0), canvas.width), Math.min(Math.max(y, 0), canvas.height)];
  };
  const draw = () => {
    pen.clearRect(0, 0, canvas.width, canvas.height);
    pen.strokeStyle = getComputedStyle(canvas).color;
    pen.lineWidth = 5;
    pen.lineCap = pen.lineJoin = "round";
    for (const each of strokes) {
      pen.beginPath();
      for (let i = 0; i < each.length; i += 2) pen.lineTo(each[i], each[i + 1]);
      pen.stroke();
    }
    drawn.value = strokes.length ? JSON.stringify(strokes) : "";
  };
  canvas.addEventListener("pointerdown", (event) => {
    if (!event.isPrimary) return;
    canvas.setPointerCapture(event.pointerId);
    stroke = at(event);
    strokes.push(stroke);
    draw();
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!stroke || strokes.flat().length / 2 > MOST) return;
    stroke.push(...at(event));
    draw();
  });
  for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => (stroke = null));
  document.getElementById("again")?.addEventListener("click", () => {
    strokes = [];
    draw();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
}
