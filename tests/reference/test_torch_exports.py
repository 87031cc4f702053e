"""Networks exported by PyTorch: the same predictions, the same gradients of every weight, and they train.

Needs `pip install torch`; both exporters are tried where `onnxscript` is there too.
"""

from __future__ import annotations

import importlib.util
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nngraph
from nngraph import ops

pytestmark = pytest.mark.reference("torch")

TOKENS = 20
LEGACY, DYNAMO = "TorchScript", "torch.export"
EXPORTERS = [(LEGACY, 13), (LEGACY, 17), (DYNAMO, 18), (DYNAMO, 20)]


def networks() -> dict[str, Any]:
    """Return a network and an input for each name; weights are random and all different."""
    import torch
    from torch import nn
    from torch.nn import functional as F

    class Convolutions(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem = nn.Conv2d(3, 8, 3, stride=2, padding=1)
            self.depthwise = nn.Conv2d(8, 8, 3, padding=1, groups=8)
            self.norm = nn.GroupNorm(2, 8)
            self.head = nn.Linear(8, 5)

        def forward(self, x: Any) -> Any:
            x = F.hardswish(self.stem(x))
            x = x + self.norm(self.depthwise(F.silu(x)))
            return self.head(F.adaptive_avg_pool2d(x, 1).flatten(1))

    class Ladder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.down = nn.Conv2d(1, 4, 3, stride=2, padding=1)
            self.up = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)
            self.learned = nn.ConvTranspose2d(4, 4, 2, stride=2)
            self.out = nn.Conv2d(9, 2, 3, padding=1)

        def forward(self, x: Any) -> Any:
            inner = F.elu(self.down(x))
            return self.out(torch.cat([x, self.up(inner), self.learned(inner)], 1))

    class Recurrent(nn.Module):
        def __init__(self, kind: Any, bidirectional: bool) -> None:
            super().__init__()
            self.embed = nn.Embedding(TOKENS, 6)
            self.layer = kind(6, 7, 2, batch_first=True, bidirectional=bidirectional)
            self.head = nn.Linear(14 if bidirectional else 7, 3)

        def forward(self, x: Any) -> Any:
            return self.head(self.layer(self.embed(x))[0][:, -1])

    class Encoder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.Embedding(TOKENS, 16)
            block = nn.TransformerEncoderLayer(16, 2, 32, dropout=0.0, batch_first=True, activation="gelu")
            self.blocks = nn.TransformerEncoder(block, 2, enable_nested_tensor=False)
            self.head = nn.Linear(16, 3)

        def forward(self, x: Any) -> Any:
            return self.head(self.blocks(self.embed(x)).mean(1))

    torch.manual_seed(0)
    ids = torch.randint(0, TOKENS, (4, 6))
    made = {
        "convolutions": (Convolutions(), torch.randn(4, 3, 12, 12)),
        "ladder": (Ladder(), torch.randn(4, 1, 8, 8)),
        "lstm": (Recurrent(nn.LSTM, True), ids),
        "gru": (Recurrent(nn.GRU, False), ids),
        "rnn": (Recurrent(nn.RNN, True), ids),
        "encoder": (Encoder(), ids),
    }
    for network, _ in made.values():
        network.eval()
        for parameter in network.parameters():  # exporters store equal arrays once, and then they would train as one
            parameter.data.normal_(0, 0.3)
    return made


@pytest.mark.parametrize("exporter", EXPORTERS, ids=lambda e: f"{e[0]} {e[1]}")
@pytest.mark.parametrize("name", ["convolutions", "ladder", "lstm", "gru", "rnn", "encoder"])
def test_predictions_and_gradients(name: str, exporter: tuple[str, int], tmp_path: Path) -> None:
    import torch

    kind, opset = exporter
    if kind == DYNAMO and importlib.util.find_spec("onnxscript") is None:
        pytest.skip("needs onnxscript")
    if (name, exporter) == ("encoder", (LEGACY, 13)):
        pytest.skip("PyTorch exports its attention from opset 14 on")
    network, x = networks()[name]
    path = tmp_path / "net.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if kind == LEGACY:
            axes = {"x": {0: "batch"}, "y": {0: "batch"}}
            options: dict[str, Any] = {"dynamo": False, "dynamic_axes": axes, "do_constant_folding": False}
        else:
            options = {"dynamo": True, "dynamic_shapes": ({0: "batch"},), "external_data": False, "verbose": False}
        torch.onnx.export(network, (x,), path, opset_version=opset, input_names=["x"], output_names=["y"], **options)
    y = network(x)
    weights = torch.linspace(-1, 1, y.numel()).reshape(y.shape)
    (y * weights).sum().backward()

    model = nngraph.load_onnx(path)
    np.testing.assert_allclose(model.predict(x.numpy(), verbose=0), y.detach().numpy(), rtol=1e-4, atol=1e-5)

    @nngraph.function
    def gradients(x: Any) -> Any:
        return nngraph.gradients(ops.sum(model(x, training=False) * weights.numpy()), model.trainable_weights)

    found = {v.path: np.asarray(g) for v, g in zip(model.trainable_weights, gradients(x.numpy()), strict=True)}
    compared = 0
    for parameter_name, parameter in network.named_parameters():
        wanted = parameter.grad.numpy()
        if parameter_name in found and found[parameter_name].shape == wanted.shape:
            compared += 1
            scale = np.abs(wanted).max()
            np.testing.assert_allclose(found[parameter_name], wanted, rtol=0, atol=2e-5 * scale, err_msg=parameter_name)
    # torch.export rearranges the weights of recurrent layers; everything else keeps its name.
    assert compared >= (3 if kind == DYNAMO else len(found) // 2)

    model.compile(nngraph.optimizers.SGD(0.005), "mse")
    losses = [float(model.train_on_batch(x.numpy(), np.zeros(y.shape, "float32"))) for _ in range(5)]
    assert losses[-1] < losses[0]
