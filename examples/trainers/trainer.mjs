// Trains a step file with an ONNX runtime for JavaScript; the same code runs in Node.js and in a web page.

const DTYPES = { // the runtime's names of dtypes, and the arrays that hold their numbers
  float64: Float64Array, float32: Float32Array, float16: globalThis.Float16Array ?? Uint16Array, bool: Uint8Array,
  int64: BigInt64Array, int32: Int32Array, int16: Int16Array, int8: Int8Array,
  uint64: BigUint64Array, uint32: Uint32Array, uint16: Uint16Array, uint8: Uint8Array,
};

/** Return the description of a step: the JSON document with which the file ends. */
function description(bytes) {
  const text = new TextDecoder("latin1").decode(bytes);
  const begin = text.lastIndexOf('{"format": "nngraph.training"');
  const about = begin < 0 ? {} : JSON.parse(text.slice(begin));
  if (about.version !== 1) throw new Error("this file is no training step of version 1");
  return about;
}

async function sha256(bytes) {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Holds the state of a training step: feed it batches, then let it write the trained model. */
export class Trainer {
  /** Open a step file. `ort` is onnxruntime-web or onnxruntime-node, `bytes` the file as a Uint8Array. */
  static async open(ort, bytes) {
    const trainer = new Trainer();
    trainer.ort = ort;
    trainer.about = description(bytes);
    const { state, initial, hyperparameters } = trainer.about;
    const parts = state.map(({ offset, length }) => bytes.slice(offset, offset + length)); // copies are aligned
    const whole = new Uint8Array(await new Blob(parts).arrayBuffer());
    if ((await sha256(whole)) !== initial.sha256) throw new Error("the step file was changed after it was written");
    trainer.state = Object.fromEntries(state.map((entry, k) =>
      [entry.input, trainer.tensor(entry, new DTYPES[entry.dtype](parts[k].buffer))]));
    trainer.fresh = { ...trainer.state };
    trainer.hyperparameters = Object.fromEntries(hyperparameters.map((h) => [h.name, h.value]));
    trainer.session = await ort.InferenceSession.create(bytes);
    return trainer;
  }

  /** Make a tensor from a typed array, or from numbers that fit the described dtype. */
  tensor({ dtype, shape }, data) {
    const kind = DTYPES[dtype];
    const array = data instanceof kind ? data : kind.from(data, /int64/.test(dtype) ? BigInt : Number);
    const row = shape.slice(1).reduce((product, size) => product * size, 1);
    return new this.ort.Tensor(dtype, array, shape.map((size) => (typeof size === "string" ? array.length / row : size)));
  }

  /** Make one update with a batch of flat arrays; return the loss and the metrics since the last reset. */
  async step(x, y) {
    const feeds = { ...this.state };
    for (const entry of this.about.inputs) feeds[entry.name] = this.tensor(entry, { x, y }[entry.role]);
    for (const h of this.about.hyperparameters) feeds[h.input] = this.tensor(h, [this.hyperparameters[h.name]]);
    const found = await this.session.run(feeds);
    for (const entry of this.about.state) this.state[entry.input] = found[entry.output];
    return Object.fromEntries(this.about.results.map(({ name }) => [name, Number(found[name].data[0])]));
  }

  /** Begin the loss and the metrics anew, as at the start of an epoch. */
  resetMetrics() {
    for (const { kind, input } of this.about.state) if (kind === "metric") this.state[input] = this.fresh[input];
  }

  /** Choose the random numbers: each generator's state is its seed and a counter. */
  reseed(seed) {
    this.about.state.filter((entry) => entry.kind === "random").forEach((entry, k) => {
      this.state[entry.input] = this.tensor(entry, Uint32Array.of(seed + k, 0));
    });
  }

  /** Return the trained model: the inference file's bytes with the trained tensors copied into them. */
  async trained(inferenceBytes) {
    const { size, sha256: wanted, tensors, file } = this.about.inference;
    if (inferenceBytes.length !== size || (await sha256(inferenceBytes)) !== wanted) {
      throw new Error(`${file} is not the inference model that was written with this step`);
    }
    const model = inferenceBytes.slice();
    for (const { name, state, dtype, offset, length } of tensors) {
      const { type, data } = this.state[state];
      if (type !== dtype || data.byteLength !== length) throw new Error(`state ${state} does not fit tensor ${name}`);
      model.set(new Uint8Array(data.buffer, data.byteOffset, length), offset);
    }
    return model;
  }
}

/** Return rows of 64 pixels from 0 to 1, and labels; a record is 64 bytes from 0 to 16, and the label. */
export function readDigits(bytes) {
  const starts = Array.from({ length: Math.floor(bytes.length / 65) }, (_, k) => 65 * k);
  return {
    rows: starts.map((start) => Float32Array.from(bytes.subarray(start, start + 64), (value) => value / 16)),
    labels: starts.map((start) => bytes[start + 64]),
  };
}

/** Return the rows at some positions as one flat array. */
export function gather(rows, positions) {
  const flat = new Float32Array(positions.length * rows[0].length);
  positions.forEach((position, k) => flat.set(rows[position], k * rows[0].length));
  return flat;
}

/** Return the numbers below a count in random order. */
export function shuffled(count) {
  const keys = Float64Array.from({ length: count }, Math.random);
  return [...keys.keys()].sort((a, b) => keys[a] - keys[b]);
}
