"""Trains a step file with plain onnxruntime and numpy, and writes the trained model beside it.

pip install onnxruntime numpy
python train.py build/step.onnx build/digits.bin --epochs 5 --out build/trained.onnx
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path

import numpy as np
import onnxruntime


class Trainer:
    """Holds the state of a training step: feed it batches, then let it write the trained model."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        data = self.path.read_bytes()
        self.session = onnxruntime.InferenceSession(data)
        metadata = self.session.get_modelmeta().custom_metadata_map
        self.about = json.loads(metadata.get("nngraph.training", "{}"))
        if self.about.get("version") != 1:
            raise SystemExit(f"{path} is no training step of version 1")
        self.state = {}
        digest = hashlib.sha256()
        for entry in self.about["state"]:
            raw = data[entry["offset"] : entry["offset"] + entry["length"]]
            digest.update(raw)
            # numpy reads little-endian numbers when told "<"; the names of the dtypes are numpy's.
            kind = np.dtype(entry["dtype"]).newbyteorder("<")
            self.state[entry["input"]] = np.frombuffer(raw, kind).reshape(entry["shape"])
        if digest.hexdigest() != self.about["initial"]["sha256"]:
            raise SystemExit(f"{path} was changed after it was written: its initial values are not where it says")
        self.hyperparameters = {
            h["name"]: np.array(h["value"], h["dtype"]).reshape(h["shape"]) for h in self.about["hyperparameters"]
        }
        self.fresh = dict(self.state)
        self.inputs = {role: [i for i in self.about["inputs"] if i["role"] == role] for role in ("x", "y")}

    def step(self, x: np.ndarray, y: np.ndarray) -> dict[str, np.ndarray]:
        """Make one update; return the loss and the metrics since the last reset."""
        feeds = dict(self.state)
        for role, array in (("x", x), ("y", y)):
            for entry in self.inputs[role]:
                feeds[entry["name"]] = array.astype(entry["dtype"], copy=False)
        for entry in self.about["hyperparameters"]:
            feeds[entry["input"]] = self.hyperparameters[entry["name"]]
        results = [entry["name"] for entry in self.about["results"]]
        found = self.session.run([*results, *(e["output"] for e in self.about["state"])], feeds)
        self.state = {e["input"]: new for e, new in zip(self.about["state"], found[len(results) :], strict=True)}
        return dict(zip(results, found, strict=False))

    def reset_metrics(self) -> None:
        """Begin the loss and the metrics anew, as at the start of an epoch."""
        for entry in self.about["state"]:
            if entry["kind"] == "metric":
                self.state[entry["input"]] = self.fresh[entry["input"]]

    def reseed(self, seed: int) -> None:
        """Choose the random numbers: each generator's state is its seed and a counter."""
        for k, entry in enumerate(e for e in self.about["state"] if e["kind"] == "random"):
            self.state[entry["input"]] = np.array([(seed + k) % 2**32, 0], np.uint32)

    def save(self, path: str | Path) -> None:
        """Copy the trained tensors into the inference model and write that."""
        inference = self.about["inference"]
        model = bytearray((self.path.parent / inference["file"]).read_bytes())
        if len(model) != inference["size"] or hashlib.sha256(model).hexdigest() != inference["sha256"]:
            raise SystemExit(f"{inference['file']} is not the inference model that was written with {self.path}")
        for tensor in inference["tensors"]:
            value = self.state[tensor["state"]]
            raw = value.astype(value.dtype.newbyteorder("<"), copy=False).tobytes()
            if str(value.dtype) != tensor["dtype"] or len(raw) != tensor["length"]:
                raise SystemExit(f"state {tensor['state']} does not fit tensor {tensor['name']}")
            model[tensor["offset"] : tensor["offset"] + tensor["length"]] = raw
        Path(path).write_bytes(model)


def read_digits(path: str) -> tuple[np.ndarray, np.ndarray]:
    """Return images from 0 to 1 and labels; a record is 64 pixels from 0 to 16, and the label."""
    records = np.fromfile(path, np.uint8).reshape(-1, 65)
    return records[:, :64].reshape(-1, 8, 8, 1).astype(np.float32) / 16, records[:, 64]


def main(arguments: list[str] | None = None) -> dict[str, float]:
    """Train as the arguments say; return the last epoch's results."""
    parser = argparse.ArgumentParser(description="Train a step file with plain onnxruntime.")
    parser.add_argument("step", help="the .onnx file of the training step")
    parser.add_argument("data", help="digits.bin: records of 64 pixels and a label")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--batch", type=int, default=32, help="rows in a batch (default: 32)")
    parser.add_argument("--rows", type=int, help="use the first so many rows")
    parser.add_argument("--learning-rate", type=float, help="default: the one in the file")
    parser.add_argument("--seed", type=int, help="for shuffling and for random layers; default: those in the file")
    parser.add_argument("--in-order", action="store_true", help="take the rows as they come, do not shuffle")
    parser.add_argument("--out", help="where to write the trained model")
    options = parser.parse_args(arguments)

    trainer = Trainer(options.step)
    if options.learning_rate is not None:
        trainer.hyperparameters["learning_rate"] = np.array(options.learning_rate, np.float32)
    if options.seed is not None:
        trainer.reseed(options.seed)
    images, labels = read_digits(options.data)
    images, labels = images[: options.rows], labels[: options.rows]
    size = trainer.about["batch_size"] or options.batch
    rng = np.random.default_rng(options.seed)
    results: dict[str, float] = {}
    for epoch in range(1, options.epochs + 1):
        order = np.arange(len(images)) if options.in_order else rng.permutation(len(images))
        # A step of a fixed batch size cannot take the rows that are left over.
        last = len(order) - (len(order) % size if trainer.about["batch_size"] else 0)
        trainer.reset_metrics()
        for begin in range(0, last, size):
            rows = order[begin : begin + size]
            found = trainer.step(images[rows], labels[rows])
        results = {name: float(value) for name, value in found.items()}
        print(json.dumps({"epoch": epoch, **results}), flush=True)
    if options.out:
        trainer.save(options.out)
    return results


if __name__ == "__main__":
    main()
