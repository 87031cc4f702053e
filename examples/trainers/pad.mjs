// A pad to draw digits on, and pictures of digits. A digit is 64 pixels from 0 to 1.

/**
 * Let a person draw on a canvas, over a hint that goes when drawing begins.
 * `drawn(pixels)` is told after each stroke, and `drawn(null)` when all is cleared.
 */
export function makePad(canvas, hint, drawn) {
  const context = canvas.getContext("2d");
  let strokes = [];
  let held = null;

  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top].map((at) => (at * canvas.width) / box.width);
  };
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    hint.hidden = true;
    held = [place(event)];
    strokes.push(held);
    redraw();
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!held) return;
    held.push(place(event));
    redraw();
  });
  for (const end of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(end, () => {
      if (held) drawn(reduced(strokes));
      held = null;
    });
  }

  function redraw() {
    context.clearRect(0, 0, canvas.width, canvas.height);
    context.strokeStyle = getComputedStyle(canvas).color;
    trace(context, strokes, 44);
  }

  return {
    clear() {
      strokes = [];
      hint.hidden = false;
      redraw();
      drawn(null);
    },
  };
}

function trace(context, strokes, width, map = (point) => point) {
  Object.assign(context, { lineWidth: width, lineCap: "round", lineJoin: "round" });
  for (const stroke of strokes) {
    context.beginPath();
    for (const point of [stroke[0], ...stroke]) context.lineTo(...map(point)); // the first twice: a dot is a line
    context.stroke();
  }
}

/** Return a drawing as the digits are: scaled to the full height, centred, averaged over 8 by 8 fields. */
function reduced(strokes) {
  const context = new OffscreenCanvas(128, 128).getContext("2d", { willReadFrequently: true });
  const [xs, ys] = [0, 1].map((axis) => strokes.flat().map((point) => point[axis]));
  const [left, top] = [Math.min(...xs), Math.min(...ys)];
  const [width, height] = [Math.max(...xs) - left, Math.max(...ys) - top];
  const scale = 110 / Math.max(width, height, 60); // a dot stays a dot
  const map = ([x, y]) => [64 + (x - left - width / 2) * scale, 64 + (y - top - height / 2) * scale];
  trace(context, strokes, 18, map);
  const { data } = context.getImageData(0, 0, 128, 128);
  const fields = new Float32Array(64);
  for (let k = 0; k < 128 * 128; k++) fields[8 * (k >> 11) + ((k & 127) >> 4)] += data[4 * k + 3] / 255 / 256;
  return fields;
}
