// The digits of the page: those that it begins with, those from a file, and those that a person draws.

import { readDigits } from "./trainer.mjs";

/** Return examples to learn from and unseen ones to test with, from records of 64 pixels and a digit. */
export function divide(bytes) {
  const { rows, labels } = readDigits(bytes);
  if (rows.length < 64 || rows.some((row) => Math.max(...row) > 1) || Math.max(...labels) > 9) {
    throw new Error("These data do not fit: at least 64 lines are needed, each of 64 pixels from 0 to 16 and a digit.");
  }
  const kept = Math.floor(rows.length * 0.8905); // of the 1797 digits 1600, which are 50 whole batches
  return [
    { rows: rows.slice(0, kept), labels: labels.slice(0, kept) },
    { rows: rows.slice(kept), labels: labels.slice(kept) },
  ];
}

/** Return the records in a file: as they are, or as numbers in the lines of a text. */
export async function readFile(file) {
  if (!file.name.endsWith(".csv")) return new Uint8Array(await file.arrayBuffer());
  return Uint8Array.from((await file.text()).match(/\d+/g) ?? []);
}

/** Fetch a file that make_step.py wrote. */
export async function load(name) {
  const found = await fetch(`build/${name}`);
  if (!found.ok) throw new Error(`build/${name} is missing: run "python make_step.py" first.`);
  return new Uint8Array(await found.arrayBuffer());
}

/** Hand a file to the person. */
export function save(bytes, name) {
  const address = URL.createObjectURL(new Blob([bytes]));
  Object.assign(document.createElement("a"), { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}
