// What the page shows of numbers: digits, the loss curve, and how sure the network is.

/** Paint digits side by side, `columns` in a row, with a line between them. */
export function paint(canvas, rows, columns) {
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, canvas.width, canvas.height);
  rows.forEach((row, position) => {
    const picture = context.createImageData(8, 8);
    row.forEach((value, k) => picture.data.set([255, 236, 222, 255].map((c, i) => (i < 3 ? 20 + (c - 20) * value : c)), 4 * k));
    context.putImageData(picture, 10 * (position % columns), 10 * Math.floor(position / columns));
  });
}

/** Draw the losses of batches as dots and their trend as a line, on a logarithmic scale. */
export function drawCurve(svg, losses) {
  if (losses.length === 0) {
    svg.innerHTML = '<text x="300" y="120" text-anchor="middle">The curve begins when training does.</text>';
    svg.setAttribute("aria-label", "Loss curve: not trained yet");
    return;
  }
  const every = Math.ceil(losses.length / 300); // at most 300 points
  const [low, high] = [Math.min(...losses, 0.3), Math.max(...losses, 1)].map(Math.log10);
  const x = (k) => (52 + (538 * k) / Math.max(losses.length - 1, 1)).toFixed(1);
  const y = (loss) => (10 + (200 * (high - Math.log10(loss))) / (high - low)).toFixed(1);
  const reach = Math.ceil(losses.length / 30);
  let [dots, line, mean] = ["", "", 0];
  for (let k = 0; k < losses.length; k += every) {
    const near = losses.slice(Math.max(k - reach, 0), k + reach + 1);
    mean = near.reduce((sum, loss) => sum + loss, 0) / near.length;
    dots += `<circle cx="${x(k)}" cy="${y(losses[k])}" r="2.5"/>`;
    line += `${x(k)},${y(mean)} `;
  }
  const marks = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3]
    .filter((tick) => Math.log10(tick) >= low && Math.log10(tick) <= high)
    .map((tick) => `<line x1="52" x2="590" y1="${y(tick)}" y2="${y(tick)}"/>` +
      `<text x="44" y="${Number(y(tick)) + 4}" text-anchor="end">${tick}</text>`);
  const end = `<text x="590" y="234" text-anchor="end">${losses.length} batches</text>`;
  svg.innerHTML = marks.join("") + dots + `<polyline points="${line}"/>` + end;
  svg.setAttribute("aria-label",
    `Loss curve: ${losses.length} batches, from ${losses[0].toFixed(2)} to about ${mean.toFixed(3)}`);
}

/** Fill a list with a bar for each digit; return a function that shows ten odds, or nothing for `null`. */
export function makeBars(list) {
  list.innerHTML = Array.from({ length: 10 }, (_, digit) =>
    `<li><span>${digit}</span><i></i><span></span></li>`).join("");
  return (odds) => {
    [...list.children].forEach((item, digit) => {
      item.className = odds && best(odds) === digit ? "best" : "";
      item.style.setProperty("--share", odds ? `${100 * odds[digit]}%` : "0%");
      item.lastChild.textContent = odds ? `${Math.round(100 * odds[digit])} %` : "";
    });
  };
}

/** Return the place of the largest number. */
export const best = (odds) => odds.indexOf(Math.max(...odds));

/** Return a share as a text. */
export const percent = (share) => `${(100 * share).toFixed(1)} %`;
