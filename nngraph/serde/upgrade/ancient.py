"""Rules for opsets before 7, when broadcasting was asked for and operators knew whether they were tested."""

from __future__ import annotations

import onnx

from nngraph.serde.upgrade.rewrite import Rewrite, upgrades

__all__: list[str] = []

_ARITHMETIC = ("Add", "Sub", "Mul", "Div", "Pow", "And", "Or", "Xor", "Equal", "Greater", "Less")
_IN_PLACE = (
    *("Abs", "Add", "Ceil", "Clip", "Div", "Dropout", "Elu", "Exp", "Floor", "HardSigmoid", "InstanceNormalization"),
    *("LeakyRelu", "Log", "Max", "Mean", "Min", "Mul", "Neg", "PRelu", "Reciprocal", "Relu", "Selu", "Sigmoid"),
    *("Sqrt", "Sub", "Sum", "Tanh", "BatchNormalization"),
)


@upgrades(*_IN_PLACE, before=6)
def _in_place(old: Rewrite) -> None:
    """Opset 6 took ``consumed_inputs`` away, a hint about memory."""
    old.drop("consumed_inputs")


@upgrades("Selu", before=6)
def _selu(old: Rewrite) -> None:
    """Opset 6 gave the defaults more digits."""
    for name, value in (("alpha", 1.6732), ("gamma", 1.0507)):
        if not old.has(name):
            old.set(name, value)


@upgrades("Cast", before=6)
def _cast(old: Rewrite) -> None:
    """Opset 6 names the dtype by its number."""
    name = old.take("to", str)
    if name is None or name.upper() not in onnx.TensorProto.DataType.keys():  # noqa: SIM118 (a protobuf enum)
        raise old.error(f"casts to {name!r}, which is no dtype", "repair the file")
    old.set("to", onnx.TensorProto.DataType.Value(name.upper()))


@upgrades("Concat", before=4)
def _concat(old: Rewrite) -> None:
    """Opset 4 made ``axis`` required; the default was 1."""
    if not old.has("axis"):
        old.set("axis", 1)


@upgrades("Reshape", before=5)
def _reshape(old: Rewrite) -> None:
    """Opset 5 made ``shape`` an input."""
    old.drop("consumed_inputs")
    shape = old.take_list("shape")
    if shape is None:
        raise old.error("lacks the attribute 'shape'", "repair the file")
    old.set_input(1, old.data(shape))


@upgrades("Split", before=2)
def _split(old: Rewrite) -> None:
    """Opset 2 took the sizes of the parts as an attribute only; before, also as an input of the data's dtype."""
    if old.input(1):
        old.set_input(1, old.before("Cast", [old.input(1)], to="int64"))


@upgrades("Tile", before=6)
def _tile(old: Rewrite) -> None:
    """Opset 6 repeats every axis; before, one axis was repeated, and both numbers were inputs."""
    times, axis = old.constant(1), old.constant(2)
    if times is None or axis is None or times.size != 1 or axis.size != 1:
        raise old.error("takes its repeats and its axis from values that are not constant numbers")
    repeats = [1] * old.rank(0)
    repeats[old.axis(int(axis.item()), len(repeats))] = int(times.item())
    old.set_input(2, "")
    old.set_input(1, old.data(repeats))


@upgrades("LpPool", "GlobalLpPool", before=2)
def _whole_norm(old: Rewrite) -> None:
    """Opset 2 made ``p`` a whole number."""
    p = old.take("p", float)
    if p is None:
        return
    if not p.is_integer():
        raise old.error(f"has p={p}, which must be a whole number")
    old.set("p", int(p))


@upgrades("Upsample", before=7)
def _upsample(old: Rewrite) -> None:
    """Opset 7 scales every axis, not only height and width."""
    height, width = old.take("height_scale", float), old.take("width_scale", float)
    if height is None or width is None:
        raise old.error("lacks the attribute 'height_scale' or 'width_scale'", "repair the file")
    old.set("scales", [1.0, 1.0, height, width])


@upgrades(*_ARITHMETIC, before=7)
def _broadcast(old: Rewrite) -> None:
    """Opset 7 broadcasts as NumPy does; before, ``axis`` said at which axis of the first the second begins."""
    broadcast, axis = old.take("broadcast"), old.take("axis")
    if not broadcast or axis is None:
        return
    first, second = old.rank(0), old.rank(1)
    trailing = first - old.axis(axis, first) - second
    if trailing < 0:
        raise old.error(f"broadcasts rank {second} into rank {first} from axis {axis} on", "repair the file")
    if trailing:
        axes = old.data(list(range(second, second + trailing)))
        old.set_input(1, old.before("Unsqueeze", [old.needed(1), axes]))


@upgrades("PRelu", before=7)
def _prelu(old: Rewrite) -> None:
    """Opset 7 broadcasts the slope as NumPy does; before, a vector was one slope for each channel."""
    type = old.type(1)
    rank = old.rank(0)
    if type is not None and type.rank == 1 and type.shape[0] != 1 and rank > 2:
        old.set_input(1, old.before("Unsqueeze", [old.needed(1), old.data(list(range(1, rank - 1)))]))


@upgrades("Gemm", before=7)
def _gemm(old: Rewrite) -> None:
    """Opset 7 always broadcasts."""
    old.drop("broadcast")


@upgrades("Dropout", before=7)
def _dropout(old: Rewrite) -> None:
    """Opset 7 took ``is_test`` away: a model that is loaded is not being trained."""
    old.drop("is_test")


@upgrades("BatchNormalization", before=7)
def _batch_norm(old: Rewrite) -> None:
    """Opset 7 trains where a node gives more than one output; before, unless ``is_test`` was set."""
    testing = old.take("is_test")
    if testing:
        del old.node.output[1:]
    elif not any(old.node.output[1:]):
        raise old.error("has is_test=0 and would train without giving its statistics")


@upgrades("RNN", "GRU", "LSTM", before=7)
def _recurrent(old: Rewrite) -> None:
    """Opset 7 took ``output_sequence`` away, which said again whether the first output is wanted."""
    old.drop("output_sequence")
