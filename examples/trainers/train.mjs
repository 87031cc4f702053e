// Trains a step file in Node.js and writes the trained model. See trainer.mjs; nothing else is needed but a runtime.
//
//   npm ci --ignore-scripts
//   node train.mjs build/step.onnx build/digits.bin --epochs 5 --out build/trained.onnx

import { readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { Trainer, gather, readDigits, shuffled } from "./trainer.mjs";

const [number, flag] = [{ type: "string" }, { type: "boolean" }];
const { values: options, positionals: [stepPath, dataPath] } = parseArgs({
  allowPositionals: true,
  options: { epochs: number, batch: number, rows: number, "learning-rate": number, seed: number, "in-order": flag,
    runtime: { type: "string", default: "onnxruntime-web" }, out: { type: "string" } },
});
if (!dataPath) throw new Error("usage: node train.mjs STEP.onnx DIGITS.bin [--epochs 5] [--batch 32] [--rows N]\n" +
  "  [--learning-rate R] [--seed N] [--in-order] [--runtime onnxruntime-node] [--out TRAINED.onnx]");

const found = await import(options.runtime);
const trainer = await Trainer.open(found.InferenceSession ? found : found.default, new Uint8Array(await readFile(stepPath)));
if (options["learning-rate"]) trainer.hyperparameters.learning_rate = Number(options["learning-rate"]);
if (options.seed) trainer.reseed(Number(options.seed));
const { rows, labels } = readDigits(new Uint8Array(await readFile(dataPath)));
const count = Math.min(Number(options.rows ?? rows.length), rows.length);
const fixed = trainer.about.batch_size;
const size = fixed ?? Number(options.batch ?? 32);
for (let epoch = 1; epoch <= Number(options.epochs ?? 5); epoch++) {
  const order = options["in-order"] ? [...Array(count).keys()] : shuffled(count);
  trainer.resetMetrics();
  let results = {};
  // A step of a fixed batch size cannot take the rows that are left over.
  for (let begin = 0; begin + (fixed ?? 1) <= count; begin += size) {
    const batch = order.slice(begin, begin + size);
    results = await trainer.step(gather(rows, batch), batch.map((k) => labels[k]));
  }
  console.log(JSON.stringify({ epoch, ...results }));
}
if (options.out) {
  const inference = new Uint8Array(await readFile(join(dirname(stepPath), trainer.about.inference.file)));
  await writeFile(options.out, await trainer.trained(inference));
}
