"""Every layer with arguments and inputs to test it with.

The tests of this folder run each case, and so does the comparison with Keras; a layer that is in no case fails the
completeness test.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

__all__ = ["CASES", "NOT_IN_KERAS", "Case", "Sub", "call_arguments", "summary"]

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Sub:
    """A layer among the arguments of another."""

    name: str
    arguments: dict[str, Any]

    def make(self, layers: Any, **more: Any) -> Any:
        """Make the layer with the classes of one package."""
        return getattr(layers, self.name)(**self.arguments, **more)


@dataclass(frozen=True)
class Case:
    """One layer, its arguments and what it is called on.

    Attributes:
        name: class name.
        arguments: constructor's arguments.
        shapes: shape of the input with its batch, or a list of shapes.
        kind: "normal" numbers, or "index:n" for integers below n.
        training: the value of ``training=`` for the call.
        random: the result depends on random numbers.
        mask: share of the steps that are masked out, or None for no mask.
        free: axes whose sizes may be None.
        gradient: whether there is one.
        numeric: whether it is that of finite differences; not where a part counts as a constant.
        call: further arguments of the call.
    """

    name: str
    arguments: dict[str, Any] = field(default_factory=dict)
    shapes: Shape | list[Shape] = (2, 3)
    kind: str = "normal"
    training: bool | None = None
    random: bool = False
    mask: float | None = None
    free: Sequence[int] = (0,)
    gradient: bool = True
    numeric: bool = True
    call: dict[str, Any] = field(default_factory=dict)
    note: str = ""

    @property
    def id(self) -> str:
        """A readable name."""
        return "-".join([self.name, *([self.note] if self.note else [])])

    def make(self, layers: Any, **more: Any) -> Any:
        """Make the layer with the classes of one package."""
        found = {k: v.make(layers, **more) if isinstance(v, Sub) else v for k, v in self.arguments.items()}
        return getattr(layers, self.name)(**found, **more)

    @property
    def rng(self) -> np.random.Generator:
        """A generator that belongs to the case."""
        return np.random.default_rng(zlib.crc32(self.id.encode()))

    def inputs(self, dtype: str = "float32") -> Any:
        """Return the input, an array or a list of arrays."""
        rng = self.rng
        many = [self._array(s, rng, dtype) for s in (self.shapes if isinstance(self.shapes, list) else [self.shapes])]
        return many if isinstance(self.shapes, list) else many[0]

    def _array(self, shape: Shape, rng: np.random.Generator, dtype: str) -> np.ndarray:
        if self.kind.startswith("index:"):
            return rng.integers(0, int(self.kind.split(":")[1]), shape).astype("int32")
        # Distinct numbers, away from the corners that maxima and rectifiers have at equal values and at 0.
        count = int(np.prod(shape))
        grid = (np.arange(count) - count / 2 + 0.37) * (4 / max(count, 1))
        return rng.permutation(grid).reshape(shape).astype(dtype)

    def mask_array(self) -> np.ndarray | None:
        """Return a mask for the first two axes, whose first step always counts."""
        if self.mask is None:
            return None
        shape = self.shapes[0] if isinstance(self.shapes, list) else self.shapes
        found = self.rng.random(shape[:2]) >= self.mask
        found[:, 0] = True
        return found

    def weights(self, shapes: Sequence[Shape], names: Sequence[str]) -> list[np.ndarray]:
        """Return numbers for the layer's weights: positive for variances, small integers for counts."""
        rng = np.random.default_rng(7)
        found = []
        for shape, name in zip(shapes, names, strict=True):
            values = rng.normal(scale=0.5, size=shape)
            positive = any(word in name for word in ("variance", "stddev"))
            found.append(np.abs(values) + 0.5 if positive else np.zeros(shape) if name == "count" else values)
        return [np.asarray(a, "float32") for a in found]


def _images(rank: int, channels: int = 2, size: int = 5, batch: int = 2) -> Shape:
    return (batch, *(size,) * rank, channels)


def _first(rank: int, channels: int = 2, size: int = 5, batch: int = 2) -> Shape:
    return (batch, channels, *(size,) * rank)


def _spatial(rank: int) -> tuple[int, ...]:
    """The batch and all spatial axes."""
    return tuple(range(rank + 1))


CORE = [
    Case("Dense", {"units": 4}, (3, 5)),
    Case("Dense", {"units": 4, "activation": "tanh", "use_bias": False}, (2, 3, 5), free=(0, 1), note="sequence"),
    Case("Dense", {"units": 4, "kernel_regularizer": "l2", "bias_constraint": "non_neg"}, (3, 5), note="regularized"),
    Case("Dense", {"units": 4, "lora_rank": 2}, (3, 5), note="lora"),
    Case("EinsumDense", {"equation": "ab,bc->ac", "output_shape": 4, "bias_axes": "c"}, (3, 5)),
    Case(
        "EinsumDense",
        {"equation": "abc,cde->abde", "output_shape": (None, 4, 2), "bias_axes": "de", "activation": "relu"},
        (2, 3, 5),
        free=(0, 1),
        note="heads",
    ),
    Case("EinsumDense", {"equation": "...x,xy->...y", "output_shape": 4}, (2, 3, 5), free=(0, 1), note="ellipsis"),
    Case(
        "EinsumDense",
        {"equation": "ab...,bc->ac...", "output_shape": (7,), "bias_axes": "c"},
        (2, 3, 4, 5),
        note="elided end",
    ),
    Case("Embedding", {"input_dim": 7, "output_dim": 3}, (2, 4), kind="index:7", free=(0, 1)),
    Case("Embedding", {"input_dim": 7, "output_dim": 3, "mask_zero": True}, (2, 4), kind="index:7", note="mask"),
    Case("Embedding", {"input_dim": 7, "output_dim": 3, "lora_rank": 2}, (2, 4), kind="index:7", note="lora"),
    Case("ReversibleEmbedding", {"input_dim": 7, "output_dim": 3}, (2, 4), kind="index:7", free=(0, 1)),
    Case("ReversibleEmbedding", {"input_dim": 7, "output_dim": 3}, (2, 4, 3), call={"reverse": True}, note="reverse"),
    Case(
        "ReversibleEmbedding",
        {"input_dim": 7, "output_dim": 3, "tie_weights": False, "logit_soft_cap": 0.5},
        (2, 4, 3),
        call={"reverse": True},
        note="untied",
    ),
    Case("Identity", {}, (2, 3), free=(0, 1)),
    Case("Masking", {"mask_value": 0.0}, (2, 4, 3), free=(0, 1, 2)),
]

ACTIVATIONS = [
    Case("Activation", {"activation": "gelu"}, (2, 6), free=(0, 1)),
    Case("Activation", {"activation": "softmax"}, (2, 6), note="softmax"),
    Case("ELU", {"alpha": 0.7}, (2, 6), free=(0, 1)),
    Case("LeakyReLU", {"negative_slope": 0.2}, (2, 6), free=(0, 1)),
    Case("PReLU", {}, (2, 4, 3)),
    Case("PReLU", {"shared_axes": [1]}, (2, 4, 3), free=(0, 1), note="shared"),
    Case("ReLU", {}, (2, 6), free=(0, 1)),
    Case("ReLU", {"max_value": 1.0, "negative_slope": 0.1, "threshold": 0.3}, (2, 6), note="bent"),
    Case("Softmax", {}, (2, 6), free=(0, 1)),
    Case("Softmax", {"axis": (1, 2)}, (2, 3, 4), note="two axes"),
    Case("Softmax", {}, (3, 6), mask=0.4, note="mask"),
]

CONVOLUTION = [
    *(Case(f"Conv{n}D", {"filters": 3, "kernel_size": 3}, _images(n), free=_spatial(n)) for n in (1, 2, 3)),
    *(
        Case(f"Conv{n}D", {"filters": 3, "kernel_size": 2, "data_format": "channels_first"}, _first(n), note="first")
        for n in (1, 2, 3)
    ),
    Case("Conv1D", {"filters": 3, "kernel_size": 3, "padding": "causal", "dilation_rate": 2}, (2, 6, 2), note="causal"),
    Case(
        "Conv2D",
        {"filters": 4, "kernel_size": (2, 3), "strides": (2, 1), "padding": "same", "groups": 2, "activation": "relu"},
        (2, 5, 6, 4),
        note="groups",
    ),
    Case("Conv2D", {"filters": 3, "kernel_size": 3, "padding": "same"}, _images(2), free=_spatial(2), note="same"),
    Case("Conv2D", {"filters": 3, "kernel_size": 2, "dilation_rate": 2, "use_bias": False}, _images(2), note="dilated"),
    Case("Conv2D", {"filters": 3, "kernel_size": 2, "lora_rank": 2}, _images(2), note="lora"),
    *(
        Case(f"Conv{n}DTranspose", {"filters": 3, "kernel_size": 3, "strides": 2}, _images(n, size=3), free=_spatial(n))
        for n in (1, 2, 3)
    ),
    *(
        Case(
            f"Conv{n}DTranspose",
            {"filters": 3, "kernel_size": 3, "strides": 2, "padding": "same"},
            _images(n, size=3),
            note="same",
        )
        for n in (1, 2, 3)
    ),
    Case("Conv2DTranspose", {"filters": 3, "kernel_size": 2, "data_format": "channels_first"}, _first(2), note="first"),
    Case("Conv2DTranspose", {"filters": 3, "kernel_size": 2, "dilation_rate": 2}, _images(2), note="dilated"),
    Case(
        "Conv2DTranspose",
        {"filters": 3, "kernel_size": 3, "strides": 2, "output_padding": 1, "padding": "same"},
        _images(2, size=3),
        note="output padding",
    ),
    Case("DepthwiseConv1D", {"kernel_size": 3, "depth_multiplier": 2}, _images(1), free=(0, 1)),
    Case("DepthwiseConv2D", {"kernel_size": 3, "depth_multiplier": 2, "padding": "same"}, _images(2), free=(0, 1, 2)),
    Case("DepthwiseConv2D", {"kernel_size": 2, "data_format": "channels_first"}, _first(2), note="first"),
    Case("DepthwiseConv2D", {"kernel_size": 2, "strides": 2}, _images(2), note="strides"),
    Case("SeparableConv1D", {"filters": 3, "kernel_size": 3, "depth_multiplier": 2}, _images(1), free=(0, 1)),
    Case("SeparableConv2D", {"filters": 3, "kernel_size": 3, "padding": "same"}, _images(2), free=(0, 1, 2)),
    Case("SeparableConv2D", {"filters": 3, "kernel_size": 2, "data_format": "channels_first"}, _first(2), note="first"),
]

POOLING = [
    *(
        Case(f"{kind}Pooling{n}D", {"pool_size": 2, "strides": 1}, _images(n), free=_spatial(n))
        for kind in ("Max", "Average")
        for n in (1, 2, 3)
    ),
    *(
        Case(f"{kind}Pooling{n}D", {"pool_size": 2, "padding": "same"}, _images(n), note="same")
        for kind in ("Max", "Average")
        for n in (1, 2, 3)
    ),
    *(
        Case(f"{kind}Pooling{n}D", {"pool_size": 2, "data_format": "channels_first"}, _first(n), note="first")
        for kind in ("Max", "Average")
        for n in (1, 2, 3)
    ),
    *(
        Case(f"Global{kind}Pooling{n}D", {}, _images(n, size=3), free=_spatial(n))
        for kind in ("Max", "Average")
        for n in (1, 2, 3)
    ),
    *(
        Case(
            f"Global{kind}Pooling{n}D",
            {"data_format": "channels_first", "keepdims": True},
            _first(n, size=3),
            note="first",
        )
        for kind in ("Max", "Average")
        for n in (1, 2, 3)
    ),
    Case("GlobalAveragePooling1D", {}, (3, 5, 2), mask=0.4, note="mask"),
    *(
        Case(f"Adaptive{kind}Pooling{n}D", {"output_size": 3}, _images(n))
        for kind in ("Max", "Average")
        for n in (1, 2, 3)
    ),
    *(
        Case(
            f"Adaptive{kind}Pooling2D",
            {"output_size": (2, 4), "data_format": "channels_first"},
            _first(2),
            note="first",
        )
        for kind in ("Max", "Average")
    ),
]

RESHAPING = [
    Case("Cropping1D", {"cropping": (1, 2)}, _images(1), free=(0, 1, 2)),
    Case("Cropping2D", {"cropping": ((1, 0), (0, 2))}, _images(2), free=(0, 1, 2)),
    Case("Cropping2D", {"cropping": 1, "data_format": "channels_first"}, _first(2), note="first"),
    Case("Cropping3D", {"cropping": (1, 2, 0)}, _images(3), free=(0, 1, 2)),
    Case("Flatten", {}, (2, 3, 4)),
    Case("Flatten", {"data_format": "channels_first"}, (2, 3, 4), note="first"),
    Case("Flatten", {}, (2, 3, 4), free=(0, 1), note="unknown"),
    Case("Permute", {"dims": (2, 1)}, (2, 3, 4), free=(0, 1, 2)),
    Case("RepeatVector", {"n": 3}, (2, 4), free=(0, 1)),
    Case("Reshape", {"target_shape": (4, 3)}, (2, 12)),
    Case("Reshape", {"target_shape": (-1, 4)}, (2, 2, 6), free=(0, 1), note="inferred"),
    Case("UpSampling1D", {"size": 3}, _images(1), free=(0, 1, 2)),
    Case("UpSampling2D", {"size": (2, 3)}, _images(2), free=(0, 1, 2)),
    Case("UpSampling2D", {"size": 2, "data_format": "channels_first"}, _first(2), note="first"),
    *(
        Case("UpSampling2D", {"size": (2, 3), "interpolation": method}, _images(2), note=method)
        for method in ("bilinear", "bicubic", "lanczos3", "lanczos5")
    ),
    Case("UpSampling3D", {"size": (1, 2, 3)}, _images(3, size=3), free=(0, 1, 2, 3)),
    Case("ZeroPadding1D", {"padding": (1, 2)}, _images(1), free=(0, 1, 2)),
    Case("ZeroPadding1D", {"padding": 1, "data_format": "channels_first"}, _first(1), note="first"),
    Case("ZeroPadding2D", {"padding": ((1, 0), (0, 2))}, _images(2), free=(0, 1, 2, 3)),
    Case("ZeroPadding2D", {"padding": (1, 2), "data_format": "channels_first"}, _first(2), note="first"),
    Case("ZeroPadding3D", {"padding": 1}, _images(3, size=2), free=(0, 1, 2, 3)),
]

NORMALIZATION = [
    Case("BatchNormalization", {}, (4, 3)),
    Case("BatchNormalization", {}, (4, 3), training=True, note="training"),
    Case("BatchNormalization", {"axis": 1, "center": False, "momentum": 0.8}, (3, 2, 4, 4), training=True, note="axis"),
    Case("BatchNormalization", {"scale": False, "epsilon": 0.1}, (2, 3, 3, 2), free=(0, 1, 2), note="images"),
    Case("BatchNormalization", {}, (3, 5, 2), training=True, mask=0.4, note="mask"),
    Case(
        "BatchNormalization",
        {"renorm": True, "renorm_clipping": {"rmax": 1.5, "rmin": 0.5, "dmax": 0.8}, "renorm_momentum": 0.9},
        (4, 3),
        training=True,
        numeric=False,
        note="renorm",
    ),
    Case("LayerNormalization", {}, (2, 3, 4), free=(0, 1)),
    Case("LayerNormalization", {"axis": [1, 2], "center": False}, (2, 3, 4), note="axes"),
    Case("LayerNormalization", {"axis": 1, "scale": False}, (2, 3, 4), free=(0, 2), note="middle"),
    Case("GroupNormalization", {"groups": 2}, (2, 3, 3, 4), free=(0, 1, 2)),
    Case("GroupNormalization", {"groups": -1, "axis": 1, "epsilon": 0.01}, (2, 4, 3, 3), note="instance"),
    Case("RMSNormalization", {}, (2, 3, 4), free=(0, 1)),
    Case("RMSNormalization", {"axis": [1, 2]}, (2, 3, 4), note="axes"),
    Case("UnitNormalization", {}, (2, 3, 4), free=(0, 1, 2)),
    Case("UnitNormalization", {"axis": [1, 2]}, (2, 3, 4), note="axes"),
    Case("SpectralNormalization", {"layer": Sub("Dense", {"units": 3})}, (2, 4)),
    Case("SpectralNormalization", {"layer": Sub("Conv2D", {"filters": 3, "kernel_size": 2})}, _images(2), note="conv"),
    Case(
        "SpectralNormalization",
        {"layer": Sub("Dense", {"units": 3}), "power_iterations": 2},
        (2, 4),
        training=True,
        numeric=False,
        note="training",
    ),
]

MERGING = [
    *(
        Case(name, {}, [(2, 3), (2, 3)], free=(0, 1))
        for name in ("Add", "Average", "Maximum", "Minimum", "Multiply", "Subtract")
    ),
    *(Case(name, {}, [(2, 3), (2, 4, 3), (2, 1, 3)], note="ranks") for name in ("Add", "Average", "Maximum")),
    Case("Concatenate", {}, [(2, 3), (2, 4)]),
    Case("Concatenate", {"axis": 1}, [(2, 3, 4), (2, 2, 4)], free=(0, 1), note="steps"),
    Case("Dot", {"axes": 1}, [(2, 3), (2, 3)]),
    Case("Dot", {"axes": (2, 1)}, [(2, 3, 4), (2, 4, 5)], free=(0,), note="matrices"),
    Case("Dot", {"axes": 1, "normalize": True}, [(2, 3, 4), (2, 3, 5)], note="normalized"),
    Case("Dot", {"axes": (3, 1)}, [(2, 3, 4, 5), (2, 5, 6)], note="ranks"),
    Case("Dot", {"axes": -1}, [(2, 3, 4), (2, 4)], note="vector"),
]

REGULARIZATION = [
    Case("ActivityRegularization", {"l1": 0.1, "l2": 0.2}, (2, 3), free=(0, 1)),
    *(
        Case(name, {"rate": 0.4, "seed": 3}, (3, 20), training=training, random=bool(training), note=note)
        for name in ("Dropout", "AlphaDropout", "GaussianDropout")
        for training, note in ((True, "training"), (None, ""))
    ),
    Case(
        "Dropout",
        {"rate": 0.4, "noise_shape": (None, 1, 4), "seed": 3},
        (2, 3, 4),
        random=True,
        training=True,
        note="shape",
    ),
    Case("Dropout", {"rate": 0.0}, (2, 3), training=True, note="zero"),
    Case("GaussianNoise", {"stddev": 0.4, "seed": 3}, (3, 20), training=True, random=True, note="training"),
    Case("GaussianNoise", {"stddev": 0.4, "seed": 3}, (3, 20), free=(0, 1)),
    *(
        Case(
            f"SpatialDropout{n}D",
            {"rate": 0.4, "seed": 3},
            _images(n, size=3),
            training=True,
            random=True,
            note="training",
        )
        for n in (1, 2, 3)
    ),
    *(Case(f"SpatialDropout{n}D", {"rate": 0.4, "seed": 3}, _images(n, size=3), free=_spatial(n)) for n in (1, 2, 3)),
]

PREPROCESSING = [
    Case("Rescaling", {"scale": 0.5, "offset": -1.0}, (2, 3), free=(0, 1)),
    Case("Rescaling", {"scale": [0.5, 2.0, 3.0]}, (2, 3), note="each"),
    Case("Normalization", {}, (2, 3, 4), free=(0, 1)),
    Case("Normalization", {"axis": 1, "invert": True}, (2, 3, 4), free=(0, 2), note="invert"),
    Case("Normalization", {"mean": [1.0, 2.0, 3.0], "variance": [1.0, 4.0, 9.0]}, (2, 3), note="given"),
    Case("Normalization", {"axis": None, "mean": 1.0, "variance": 4.0}, (2, 3), free=(0, 1), note="one"),
    *(
        Case(
            "CategoryEncoding",
            {"num_tokens": 5, "output_mode": mode},
            (3, 2),
            kind="index:5",
            gradient=False,
            note=mode,
        )
        for mode in ("one_hot", "multi_hot", "count")
    ),
    *(
        Case(
            "Discretization",
            {"bin_boundaries": [-1.0, 0.0, 1.5], "output_mode": mode},
            (3, 4),
            gradient=False,
            note=mode,
        )
        for mode in ("int", "one_hot", "multi_hot", "count")
    ),
    Case("CenterCrop", {"height": 3, "width": 2}, (2, 5, 5, 2)),
    Case("CenterCrop", {"height": 4, "width": 4}, (2, 3, 6, 2), note="small"),
    Case("Resizing", {"height": 3, "width": 7}, (2, 5, 5, 2)),
    Case("Resizing", {"height": 3, "width": 7, "data_format": "channels_first"}, (2, 2, 5, 5), note="first"),
    *(
        Case("Resizing", {"height": 3, "width": 7, "interpolation": method}, (2, 5, 5, 2), note=method)
        for method in ("nearest", "bicubic", "lanczos3", "lanczos5")
    ),
    Case("Resizing", {"height": 3, "width": 2, "antialias": True}, (2, 8, 7, 2), note="antialias"),
    Case("Resizing", {"height": 3, "width": 3, "crop_to_aspect_ratio": True}, (2, 6, 4, 2), note="crop"),
    Case(
        "Resizing", {"height": 5, "width": 3, "pad_to_aspect_ratio": True, "fill_value": 0.5}, (2, 4, 6, 2), note="pad"
    ),
]

# One bound for both ends makes the random number known, so that results can be compared with Keras's.
AUGMENTATION = [
    Case("RandomFlip", {"seed": 3}, (6, 3, 4, 2), training=True, random=True),
    Case(
        "RandomFlip",
        {"mode": "vertical", "data_format": "channels_first", "seed": 3},
        (2, 2, 3, 4),
        training=False,
        note="off",
    ),
    Case(
        "RandomBrightness", {"factor": (0.2, 0.2), "value_range": (-1.5, 1.5), "seed": 3}, (2, 3, 4, 2), training=True
    ),
    Case("RandomBrightness", {"factor": 0.2, "seed": 3}, (2, 3, 4, 2), training=True, random=True, note="random"),
    Case(
        "RandomContrast", {"factor": 0.3, "seed": 3, "value_range": (-9, 9)}, (2, 3, 4, 2), training=True, random=True
    ),
    Case(
        "RandomContrast",
        {"factor": (0.0, 0.0), "value_range": (-1.5, 1.5), "seed": 3},
        (2, 3, 4, 2),
        training=True,
        note="known",
    ),
    Case(
        "RandomTranslation",
        {"height_factor": (0.25, 0.25), "width_factor": (-0.4, -0.4), "fill_mode": "wrap", "seed": 3},
        (2, 4, 5, 2),
        training=True,
    ),
    Case("RandomRotation", {"factor": (0.15, 0.15), "seed": 3}, (2, 4, 5, 2), training=True),
    Case(
        "RandomRotation",
        {
            "factor": (-0.1, -0.1),
            "fill_mode": "constant",
            "fill_value": 0.5,
            "data_format": "channels_first",
            "seed": 3,
        },
        (2, 2, 5, 4),
        training=True,
        note="first",
    ),
    Case("RandomRotation", {"factor": 0.2, "seed": 3}, (2, 4, 5, 2), training=True, random=True, note="random"),
    Case("RandomZoom", {"height_factor": (0.3, 0.3), "fill_mode": "nearest", "seed": 3}, (2, 4, 5, 2), training=True),
    Case(
        "RandomZoom",
        {"height_factor": (-0.4, -0.4), "width_factor": (0.2, 0.2), "interpolation": "nearest", "seed": 3},
        (2, 4, 5, 2),
        training=True,
        note="nearest",
    ),
]

CASES: list[Case] = [
    *CORE,
    *ACTIVATIONS,
    *CONVOLUTION,
    *POOLING,
    *RESHAPING,
    *NORMALIZATION,
    *MERGING,
    *REGULARIZATION,
    *PREPROCESSING,
    *AUGMENTATION,
]

NOT_IN_KERAS: dict[str, str] = {}
"""Cases that the comparison leaves out, and why."""


def call_arguments(case: Case) -> dict[str, Any]:
    """Return the keyword arguments of the case's call."""
    training = {} if case.training is None else {"training": case.training}
    mask = {} if case.mask is None else {"mask": case.mask_array()}
    return {**case.call, **training, **mask}


def summary(array: Any) -> list[Any]:
    """Return what tells an array from others: its shape, some entries, and a sum that depends on their order."""
    flat = np.asarray(array, "float64").ravel()
    places = np.linspace(0, flat.size - 1, 4).astype(int)
    return [list(np.shape(array)), *flat[places].tolist(), float(flat @ np.cos(np.arange(flat.size)))]
