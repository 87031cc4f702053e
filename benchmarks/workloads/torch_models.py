"""The networks in PyTorch, as one would write them for speed: NCHW, a fused projection, scaled_dot_product_attention.

Module names equal the layer names of ``keras_models`` with "." for "_", so that :func:`load_weights` finds its arrays.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from benchmarks.workloads import LM_VOCABULARY, MOBILENET_BLOCKS, VOCABULARY

__all__ = ["MODELS", "load_weights"]

Tensor = torch.Tensor


class Mlp(nn.Module):
    def __init__(self, dropout: bool) -> None:
        super().__init__()
        self.hidden, self.output = nn.Linear(784, 128), nn.Linear(128, 10)
        self.dropout = nn.Dropout(0.2 if dropout else 0.0)

    def forward(self, x: Tensor) -> Tensor:
        return self.output(self.dropout(functional.relu(self.hidden(x))))


class Cnn(nn.Module):
    def __init__(self, dropout: bool) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(3, 32, 3), nn.Conv2d(32, 64, 3)
        self.hidden, self.output = nn.Linear(64 * 6 * 6, 512), nn.Linear(512, 10)
        self.drop_quarter = nn.Dropout(0.25) if dropout else nn.Identity()
        self.drop_half = nn.Dropout(0.5) if dropout else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        x = self.drop_quarter(functional.max_pool2d(functional.relu(self.conv1(x)), 2))
        x = self.drop_quarter(functional.max_pool2d(functional.relu(self.conv2(x)), 2))
        return self.output(self.drop_half(functional.relu(self.hidden(x.flatten(1)))))


class ConvBn(nn.Module):
    def __init__(self, inputs: int, filters: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, filters, kernel, stride, kernel // 2, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(filters, eps=1e-3, momentum=0.01)

    def forward(self, x: Tensor) -> Tensor:
        return self.bn(self.conv(x))


class Residual(nn.Module):
    def __init__(self, inputs: int, filters: int, stride: int) -> None:
        super().__init__()
        self.add_module("1", ConvBn(inputs, filters, 3, stride))
        self.add_module("2", ConvBn(filters, filters, 3))
        self.add_module("3", nn.Identity() if stride == 1 else ConvBn(inputs, filters, 1, stride))

    def forward(self, x: Tensor) -> Tensor:
        first, second, shortcut = self.children()
        return functional.relu(shortcut(x) + second(functional.relu(first(x))))


class ResNet(nn.Module):
    def __init__(self, stages: tuple[int, ...], blocks: int) -> None:
        super().__init__()
        self.stem = ConvBn(3, stages[0], 3)
        inputs = stages[0]
        self.names = []
        for s, filters in enumerate(stages):
            for b in range(blocks):
                self.names.append(f"s{s}b{b}")
                self.add_module(self.names[-1], Residual(inputs, filters, 2 if s and not b else 1))
                inputs = filters
        self.output = nn.Linear(inputs, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.stem(x))
        for name in self.names:
            x = getattr(self, name)(x)
        return self.output(x.mean((2, 3)))


class Recurrent(nn.Module):
    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.embedding, self.recurrent, self.output = nn.Embedding(VOCABULARY, 128), layer, nn.Linear(128, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.output(self.recurrent(self.embedding(x))[0][:, -1])


class Attention(nn.Module):
    def __init__(self, width: int, heads: int, causal: bool) -> None:
        super().__init__()
        self.heads, self.causal = heads, causal
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        batch, time, width = x.shape
        q, k, v = self.qkv(x).view(batch, time, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        y = functional.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        return self.out(y.transpose(1, 2).reshape(batch, time, width))


class Block(nn.Module):
    def __init__(self, width: int, heads: int, causal: bool) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width, eps=1e-3), nn.LayerNorm(width, eps=1e-3)
        self.attention = Attention(width, heads, causal)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.norm1(x))
        return x + self.down(functional.gelu(self.up(self.norm2(x))))


class Positions(nn.Module):
    def __init__(self, length: int, width: int) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.empty(length, width).uniform_(-0.05, 0.05))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.table


class Transformer(nn.Module):
    def __init__(self, vocabulary: int, blocks: int, outputs: int, causal: bool, width: int = 256) -> None:
        super().__init__()
        self.causal = causal
        self.embedding, self.positions = nn.Embedding(vocabulary, width), Positions(128, width)
        self.blocks = blocks
        for b in range(blocks):
            self.add_module(f"b{b}", Block(width, 4, causal))
        self.norm, self.output = nn.LayerNorm(width, eps=1e-3), nn.Linear(width, outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = self.positions(self.embedding(x))
        for b in range(self.blocks):
            x = getattr(self, f"b{b}")(x)
        x = self.norm(x)
        return self.output(x if self.causal else x.mean(1))


class Double(nn.Module):
    def __init__(self, inputs: int, filters: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, filters, 3, padding=1)
        self.conv2 = nn.Conv2d(filters, filters, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.conv2(functional.relu(self.conv1(x))))


class Up(Double):
    def __init__(self, inputs: int, filters: int) -> None:
        super().__init__(inputs, filters)
        self.conv = nn.ConvTranspose2d(inputs, filters, 2, 2)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:  # type: ignore[override]
        return super().forward(torch.cat([skip, self.conv(x)], 1))


class UNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.down1, self.down2, self.bottom = Double(3, 16), Double(16, 32), Double(32, 64)
        self.up2, self.up1 = Up(64, 32), Up(32, 16)
        self.output = nn.Conv2d(16, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        top = self.down1(x)
        middle = self.down2(functional.max_pool2d(top, 2))
        x = self.bottom(functional.max_pool2d(middle, 2))
        return self.output(self.up1(self.up2(x, middle), top))


class Separable(nn.Module):
    def __init__(self, inputs: int, filters: int, stride: int) -> None:
        super().__init__()
        self.add_module("1", ConvBn(inputs, inputs, 3, stride, groups=inputs))
        self.add_module("2", ConvBn(inputs, filters, 1))

    def forward(self, x: Tensor) -> Tensor:
        depthwise, pointwise = self.children()
        return functional.relu6(pointwise(functional.relu6(depthwise(x))))


class MobileNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = ConvBn(3, 32, 3, 2)
        inputs = 32
        for k, (filters, stride) in enumerate(MOBILENET_BLOCKS):
            self.add_module(f"m{k}", Separable(inputs, filters, stride))
            inputs = filters
        self.output = nn.Linear(inputs, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu6(self.stem(x))
        for k in range(len(MOBILENET_BLOCKS)):
            x = getattr(self, f"m{k}")(x)
        return self.output(x.mean((2, 3)))


MODELS: dict[str, Callable[[bool], nn.Module]] = {
    "mlp": Mlp,
    "cnn": Cnn,
    "resnet": lambda dropout: ResNet((32, 64, 128), 2),
    "resnet100": lambda dropout: ResNet((8, 16, 32), 16),
    "lstm": lambda dropout: Recurrent(nn.LSTM(128, 128, batch_first=True)),
    "gru": lambda dropout: Recurrent(nn.GRU(128, 128, batch_first=True)),
    "transformer": lambda dropout: Transformer(VOCABULARY, 4, 10, causal=False),
    "lm": lambda dropout: Transformer(LM_VOCABULARY, 2, LM_VOCABULARY, causal=True),
    "unet": lambda dropout: UNet(),
    "mobilenet": lambda dropout: MobileNet(),
}


# --------------------------------------------------------------------------- weights in Keras's layout


def load_weights(model: nn.Module, weights: Mapping[str, list[np.ndarray]]) -> None:
    """Copy arrays in Keras's layout, by layer name, into a model.

    Raises:
        ValueError: a layer has no module, or shapes do not fit.
    """
    modules = {name.replace(".", "_"): module for name, module in model.named_modules()}
    unknown = set(weights) - set(modules)
    if unknown:
        raise ValueError(f"the PyTorch model lacks modules for the layers {sorted(unknown)}")
    with torch.no_grad():
        for name, arrays in weights.items():
            for parameter, array in zip(_tensors(modules[name]), _converted(modules[name], arrays), strict=True):
                if tuple(parameter.shape) != array.shape:
                    raise ValueError(f"layer {name!r}: shape {tuple(parameter.shape)} here, {array.shape} given")
                parameter.copy_(torch.from_numpy(np.ascontiguousarray(array)))


def _tensors(module: nn.Module) -> list[Tensor]:
    if isinstance(module, nn.BatchNorm2d):
        return [module.weight, module.bias, module.running_mean, module.running_var]
    return list(module.parameters())


def _converted(module: nn.Module, arrays: list[np.ndarray]) -> list[np.ndarray]:
    """Return Keras's arrays in PyTorch's order and layout."""
    if isinstance(module, nn.Conv2d):
        # A depthwise kernel is (h, w, channels, 1): its channels are PyTorch's filters.
        order = (2, 3, 0, 1) if module.groups > 1 else (3, 2, 0, 1)
        return [arrays[0].transpose(order), *arrays[1:]]
    if isinstance(module, nn.ConvTranspose2d):
        return [arrays[0].transpose(3, 2, 0, 1), *arrays[1:]]
    if isinstance(module, nn.Linear):
        return [_dense(module, arrays[0]), *arrays[1:]]
    if isinstance(module, nn.LSTM):
        kernel, recurrent, bias = arrays
        return [kernel.T, recurrent.T, bias, np.zeros_like(bias)]
    if isinstance(module, nn.GRU):
        kernel, recurrent, bias = arrays
        return [_reset_first(a) for a in (kernel.T, recurrent.T, bias[0], bias[1])]
    if isinstance(module, Attention):
        width = module.qkv.in_features
        kernels = [a.reshape(width, width) for a in arrays[0:6:2]]
        biases = [a.reshape(width) for a in arrays[1:6:2]]
        return [np.concatenate(kernels, 1).T, np.concatenate(biases), arrays[6].reshape(width, width).T, arrays[7]]
    return arrays


def _dense(module: nn.Linear, kernel: np.ndarray) -> np.ndarray:
    if kernel.shape == (2304, 512):  # The CNN's kernel after Flatten: rows are (h, w, c) in Keras, (c, h, w) here.
        kernel = kernel.reshape(6, 6, 64, 512).transpose(2, 0, 1, 3).reshape(2304, 512)
    return kernel.T


def _reset_first(array: np.ndarray) -> np.ndarray:
    """Keras orders the gates update, reset, new; PyTorch reset, update, new."""
    update, reset, new = np.split(array, 3)
    return np.concatenate([reset, update, new])


def as_layout(x: np.ndarray, images: bool, channels_last: bool) -> Any:
    """Return a batch as a tensor; images in NCHW, in memory as asked."""
    tensor = torch.from_numpy(x)
    if tensor.dtype == torch.int32:
        tensor = tensor.long()
    if not images:
        return tensor
    tensor = tensor.permute(0, 3, 1, 2)
    return tensor.contiguous(memory_format=torch.channels_last if channels_last else torch.contiguous_format)
