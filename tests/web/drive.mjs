// Uses the trainers' page as a person does, in headless Chromium: node drive.mjs CHROMIUM URL FOLDER
// Prints one JSON object; leaves digits.onnx and screenshots in the folder.

import { createRequire } from "node:module";
import { join } from "node:path";

const [executablePath, url, folder] = process.argv.slice(2);
const require = createRequire(new URL("../../examples/trainers/package.json", import.meta.url));
const { chromium } = require("playwright-core");

const around = (x, y, rx, ry, from, to) => Array.from({ length: 17 }, (_, k) => {
  const angle = ((from + ((to - from) * k) / 16) * Math.PI) / 180;
  return [x + rx * Math.cos(angle), y + ry * Math.sin(angle)];
});
const DRAWINGS = {
  0: [around(0.5, 0.5, 0.2, 0.33, -90, 270)],
  1: [[[0.42, 0.3], [0.53, 0.15], [0.53, 0.85]]],
  3: [[...around(0.48, 0.32, 0.17, 0.16, -160, 90), ...around(0.48, 0.66, 0.19, 0.18, -90, 150)]],
  4: [[[0.55, 0.15], [0.3, 0.6], [0.72, 0.6]], [[0.58, 0.4], [0.58, 0.88]]],
  7: [[[0.3, 0.18], [0.7, 0.18], [0.45, 0.85]]],
};

const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
const problems = [];
const report = { problems, answers: {} };
try {
  const page = await browser.newPage({ viewport: { width: 1240, height: 1000 } });
  page.on("pageerror", (error) => problems.push(error.message));
  page.on("console", (message) => message.type() === "error" && problems.push(message.text()));
  page.on("request", (request) => request.url().startsWith(url) || /^(data|blob):/.test(request.url()) || problems.push(request.url()));

  const ready = () => page.waitForFunction(() => !document.querySelector("#start").disabled, null, { timeout: 60_000 });
  const train = async (epochs) => {
    await page.click("#start");
    await page.waitForFunction((wanted) => document.body.dataset.epoch === wanted, String(epochs), { timeout: 120_000 });
  };
  await page.goto(`${url}?order=given&epochs=1`);
  await ready();
  await train(1);
  report.loss = Number(await page.evaluate(() => document.body.dataset.loss));
  await page.waitForFunction(() => document.querySelector("#start").textContent === "Continue training");
  const [file] = await Promise.all([page.waitForEvent("download"), page.click("#download")]);
  await file.saveAs(join(folder, "digits.onnx"));

  await page.goto(`${url}?epochs=12`);
  await ready();
  await page.screenshot({ path: join(folder, "start.png"), fullPage: true });
  await train(12);
  for (const [digit, strokes] of Object.entries(DRAWINGS)) {
    await page.click("#clear");
    const box = await page.locator("#pad").boundingBox();
    for (const stroke of strokes) {
      const points = stroke.map(([x, y]) => [box.x + x * box.width, box.y + y * box.height]);
      await page.mouse.move(...points[0]);
      await page.mouse.down();
      for (const point of points.slice(1)) await page.mouse.move(...point, { steps: 4 });
      await page.mouse.up();
    }
    await page.waitForFunction(() => document.querySelector("#answer").textContent !== "?");
    report.answers[digit] = await page.locator("#answer").textContent();
  }
  await page.screenshot({ path: join(folder, "trained.png"), fullPage: true });
  report.unseen = await page.locator("#unseen").textContent();
  report.curve = await page.locator("#curve").getAttribute("aria-label");
  await page.getByRole("button", { name: "7", exact: true }).click(); // teach it the last drawing
  report.count = await page.locator("#count").textContent();
  await page.click("#again");
  await page.waitForFunction(() => document.querySelector("#start").textContent === "Start training");
  report.again = await page.locator("#loss").textContent();
} finally {
  await browser.close();
}
console.log(JSON.stringify(report));
