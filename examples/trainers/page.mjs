// The web page around trainer.mjs. `?order=given&epochs=1` trains without shuffling and stops by itself.
import * as ort from "./node_modules/onnxruntime-web/dist/ort.wasm.bundle.min.mjs";
import { divide, load, readFile, save } from "./digits.mjs";
import { makePad } from "./pad.mjs";
import { best, drawCurve, makeBars, paint, percent } from "./pictures.mjs";
import { Trainer, gather, shuffled } from "./trainer.mjs";

const BATCH = 32;
const $ = (id) => document.getElementById(id);
const wanted = new URLSearchParams(location.search);
let trainer, stepBytes, inferenceBytes, reader, model; // reader: a session of the model as it is now
let seen, unseen, drawing = null, mine = 0, running = false, job, epoch, losses;
let last = Promise.resolve();
const alone = (work) => (last = last.then(work, work)); // the runtime does one thing at a time

/** Train until somebody pauses. */
async function train() {
  while (running) {
    const order = wanted.get("order") === "given" ? [...seen.rows.keys()] : shuffled(seen.rows.length);
    let results = { loss: 0 };
    trainer.resetMetrics();
    for (let steps = 0; steps * BATCH < order.length && running; steps++) {
      const batch = order.slice(steps * BATCH, (steps + 1) * BATCH);
      const before = results.loss * steps; // a result is the mean of the epoch so far
      trainer.hyperparameters.learning_rate = Number($("rate").value);
      results = await alone(() => trainer.step(gather(seen.rows, batch), batch.map((k) => seen.labels[k])));
      losses.push(Math.max(results.loss * (steps + 1) - before, 1e-4));
      if (losses.length % 5 === 1) show(results);
      await new Promise((done) => setTimeout(done)); // let the page breathe
    }
    show(results);
    await refresh();
    if (!running) return;
    epoch += 1;
    Object.assign(document.body.dataset, { epoch, loss: results.loss });
    $("epoch").textContent = epoch;
    $("status").textContent = `Epoch ${epoch} done. ${$("unseen").textContent} of the unseen digits are read right.`;
    if (epoch >= Number(wanted.get("epochs") ?? Infinity)) running = false;
  }
}

async function toggle() {
  running = !running;
  $("start").textContent = running ? "Pause" : "Continue training";
  $("status").textContent = running ? "Learning…" : "Paused.";
  if (!running) return;
  $("again").disabled = false;
  await job; // a pause begins after the batch at hand
  await (job = train().catch(report));
  $("start").textContent = "Continue training";
}

function show(results) {
  $("loss").textContent = results.loss.toFixed(4);
  $("accuracy").textContent = percent(results.accuracy);
  drawCurve($("curve"), losses);
}

/** Make a model of the weights as they are, test it, and let it look at the drawing. */
async function refresh() {
  model = await trainer.trained(inferenceBytes);
  const old = reader;
  reader = await alone(() => ort.InferenceSession.create(model));
  await alone(() => old?.release());
  $("download").disabled = losses.length === 0;
  const odds = await predict(unseen.rows);
  const right = unseen.labels.filter((label, k) => best(odds.slice(10 * k, 10 * k + 10)) === label);
  $("unseen").textContent = losses.length ? percent(right.length / unseen.labels.length) : "–";
  await answer();
}

async function predict(rows) {
  const images = new ort.Tensor("float32", gather(rows, [...rows.keys()]), [rows.length, 8, 8, 1]);
  const found = await alone(() => reader.run({ [reader.inputNames[0]]: images }));
  return [...found[reader.outputNames[0]].data];
}

async function answer() {
  const odds = drawing && (await predict([drawing]));
  $("answer").textContent = odds ? best(odds) : "?";
  showOdds(odds);
}

function take(bytes) {
  [seen, unseen] = divide(bytes);
  mine = 0;
  describe();
}

function describe() {
  const own = mine ? `, ${mine} of them yours` : "";
  $("count").textContent = `${seen.rows.length} examples to learn from${own}; ${unseen.rows.length} unseen ones for tests.`;
  paint($("examples"), seen.rows.slice(-60).reverse(), 20);
}

function drawn(pixels) {
  drawing = pixels;
  $("teach").disabled = pixels === null;
  paint($("sees"), pixels ? [pixels] : [], 1);
  if (reader) answer().catch(report);
}

function teach(digit) {
  seen.rows.push(drawing);
  seen.labels.push(digit);
  mine += 1;
  describe();
  pad.clear();
}

function report(error) {
  running = false;
  $("status").textContent = error.message;
}

async function begin() {
  running = false;
  await job;
  await alone(() => trainer?.session.release());
  trainer = await alone(() => Trainer.open(ort, stepBytes));
  [epoch, losses] = [0, []];
  for (const id of ["epoch", "loss", "accuracy"]) $(id).textContent = "–";
  $("start").textContent = "Start training";
  $("again").disabled = true;
  drawCurve($("curve"), losses);
  await refresh();
  $("status").textContent = "Ready: the network knows nothing yet.";
}

const pad = makePad($("pad"), $("hint"), drawn);
const showOdds = makeBars($("bars"));
$("start").onclick = toggle;
$("again").onclick = () => begin().catch(report);
$("clear").onclick = () => pad.clear();
$("teach").onclick = ({ target }) => target.matches("button") && teach(Number(target.textContent));
$("sample").onclick = () => {
  pad.clear();
  drawn(unseen.rows[Math.floor(Math.random() * unseen.rows.length)]);
};
$("file").onchange = ({ target }) => readFile(target.files[0]).then(take).catch(report);
$("download").onclick = () => save(model, "digits.onnx");
try {
  ort.env.wasm.numThreads = 1;
  [stepBytes, inferenceBytes] = await Promise.all([load("step.onnx"), load("step.infer.onnx")]);
  take(await load("digits.bin"));
  await begin();
  $("start").disabled = $("sample").disabled = false;
} catch (error) {
  report(error);
}
