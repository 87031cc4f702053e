"""Files that lie, ask for too much, or lead elsewhere: each made by code, none larger than a few kilobytes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import onnx
from onnx import AttributeProto, TensorProto, helper

__all__ = ["CASES", "Hostile", "model_of", "parsed"]

FLOAT, INT64, STRING = TensorProto.FLOAT, TensorProto.INT64, TensorProto.STRING


class Hostile(NamedTuple):
    """One file.

    Attributes:
        name: what is wrong with it.
        make: writes ``model.onnx`` and what belongs to it into a folder.
        match: what the error must say.
        seen: whether the model file alone shows it, without the files beside it.
    """

    name: str
    make: Callable[[Path], None]
    match: str
    seen: bool = True


CASES: list[Hostile] = []


def case(name: str, match: str, *, seen: bool = True) -> Callable[[Callable[[Path], None]], Callable[[Path], None]]:
    """Enter a function as the maker of a file."""

    def enter(make: Callable[[Path], None]) -> Callable[[Path], None]:
        CASES.append(Hostile(name, make, match, seen))
        return make

    return enter


def parsed(body: str, opset: int = 20, ir: int = 9) -> onnx.ModelProto:
    """Return a model written in ONNX's own text form."""
    return onnx.parser.parse_model(f'<ir_version: {ir}, opset_import: ["": {opset}]> {body}')


def good(body: str = "g (float[2, 3] x) => (float[2, 3] y) { y = Relu(x) }") -> onnx.ModelProto:
    """Return a valid model."""
    return parsed(body)


def write(folder: Path, model: onnx.ModelProto | bytes) -> None:
    """Write the model file."""
    content = model if isinstance(model, bytes) else model.SerializeToString()
    (folder / "model.onnx").write_bytes(content)


def model_of(
    node: onnx.NodeProto, *shapes: Any, initializers: Any = (), opset: int = 20, outputs: int = 1
) -> onnx.ModelProto:
    """Return a model of one node; an input without a type is declared with the shape at its place."""
    stored = {t.name for t in initializers}
    names = [n for n in node.input if n and n not in stored]
    inputs = [helper.make_tensor_value_info(n, FLOAT, s) for n, s in zip(names, shapes, strict=False)]
    results = [helper.make_tensor_value_info(o, FLOAT, ["?"]) for o in node.output[:outputs]]
    graph = helper.make_graph([node], "g", inputs, results, list(initializers))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)


def ints(name: str, *values: int, shape: Any = None) -> TensorProto:
    """Return a stored vector of int64."""
    return helper.make_tensor(name, INT64, [len(values)] if shape is None else shape, values)


# -- files that are none ---------------------------------------------------------------------------------------------


def _bytes(name: str, content: Callable[[], bytes], match: str) -> None:
    case(name, match)(lambda folder: write(folder, content()))


_NO_MODEL = r"is not an ONNX model|is empty|holds no graph|has no graph"
_bytes("an empty file", lambda: b"", _NO_MODEL)
_bytes("a text", lambda: b"just a text\n" * 20, _NO_MODEL)
_bytes("a zip archive", lambda: b"PK\x03\x04" + bytes(60), _NO_MODEL)
_bytes("zeros", lambda: bytes(500), _NO_MODEL)
_bytes("ones", lambda: b"\xff" * 500, _NO_MODEL)
_bytes("a pickle", lambda: b"\x80\x04\x8c\x05posix\x8c\x06system\x93.", _NO_MODEL)
_bytes("a model cut off", lambda: good().SerializeToString()[:-7], _NO_MODEL)
_bytes("a model cut off in its first field", lambda: good().SerializeToString()[:3], _NO_MODEL + "|graph")
_bytes("a field longer than the file", lambda: b"\x08\x09\x3a\xff\xff\xff\xff\x0f" + bytes(20), _NO_MODEL)
_bytes("a number without end", lambda: b"\x08" + b"\xff" * 40, _NO_MODEL)
_bytes("graphs in graphs in graphs", lambda: _nested(300), _NO_MODEL)
_bytes(
    "a text that is no UTF-8",
    lambda: good().SerializeToString().replace(b"Relu", b"R\xff\xfeu"),
    "no UTF-8|not an ONNX",
)


def _nested(depth: int) -> bytes:
    """Return the bytes of a node whose graph holds such a node again, and so on."""
    content = b"\x22\x04Relu"
    for _ in range(depth):
        graph = b"\x0a" + _varint(len(content)) + content
        attribute = b"\x0a\x01b\xa0\x01\x05\x32" + _varint(len(graph)) + graph
        content = b"\x22\x02If\x2a" + _varint(len(attribute)) + attribute
    graph = b"\x0a" + _varint(len(content)) + content
    return b"\x08\x09\x3a" + _varint(len(graph)) + graph


def _varint(number: int) -> bytes:
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


@case("no graph", r"no graph")
def _(folder: Path) -> None:
    model = good()
    model.ClearField("graph")
    write(folder, model)


# -- external data ---------------------------------------------------------------------------------------------------


def external(
    location: str, *, length: int | str | None = 16, offset: int | str | None = None, **more: str
) -> onnx.ModelProto:
    """Return a model whose one tensor lies at a location."""
    model = good("g (float[2, 2] x) => (float[2, 2] y) { y = Add(x, w) }")
    tensor = model.graph.initializer.add(name="w", data_type=FLOAT, dims=[2, 2], data_location=TensorProto.EXTERNAL)
    entries = {"location": location, "length": length, "offset": offset, **more}
    for key, value in entries.items():
        if value is not None:
            tensor.external_data.add(key=key, value=str(value))
    return model


LOCATIONS = {
    "../secret.bin": "leads out",
    "../../../../../../../../etc/passwd": "leads out",
    "/etc/passwd": "leads out",
    "//etc/passwd": "leads out",
    "/proc/self/environ": "leads out",
    "sub/../../secret.bin": "leads out",
    "sub/../../../secret.bin": "leads out",
    "./../secret.bin": "leads out",
    "..": "leads out",
    ".": "leads out",
    "": "no location",
    ".. /secret.bin": "leads out",
    "...\u002f../secret.bin": "leads out",
    "..\\secret.bin": "backslash",
    "sub\\..\\..\\secret.bin": "backslash",
    "C:\\Windows\\win.ini": "backslash or colon",
    "C:secret.bin": "backslash or colon",
    "\\\\server\\share\\secret.bin": "backslash",
    "file:///etc/passwd": "colon",
    "data.bin::$DATA": "colon",
    "secret.bin\0.bin": "control",
    "../secret.bin\n": "control",
    "x/" * 3000: "6000 characters",
}
for _location, _match in LOCATIONS.items():
    case(f"external data at {_location[:30]!r}", _match)(lambda folder, at=_location: write(folder, external(at)))


@case("external data through a symbolic link", "symbolic link", seen=False)
def _(folder: Path) -> None:
    write(folder, external("link.bin"))
    (folder / "link.bin").symlink_to("../secret.bin")


@case("external data through a linked folder", "symbolic link", seen=False)
def _(folder: Path) -> None:
    write(folder, external("way/secret.bin"))
    (folder / "way").symlink_to("..", target_is_directory=True)


@case("external data through a chain of links", "symbolic link", seen=False)
def _(folder: Path) -> None:
    write(folder, external("a"))
    (folder / "a").symlink_to("b")
    (folder / "b").symlink_to(folder.parent / "secret.bin")


@case("external data in a circle of links", "circle|cannot be opened|no regular file", seen=False)
def _(folder: Path) -> None:
    write(folder, external("a"))
    (folder / "a").symlink_to("b")
    (folder / "b").symlink_to("a")


@case("external data in a hard link", "hard links", seen=False)
def _(folder: Path) -> None:
    write(folder, external("hard.bin"))
    os.link(folder.parent / "secret.bin", folder / "hard.bin")


@case("external data in a pipe", "no regular file", seen=False)
def _(folder: Path) -> None:
    write(folder, external("pipe"))
    os.mkfifo(folder / "pipe")


@case("external data in a device", "symbolic link", seen=False)
def _(folder: Path) -> None:
    write(folder, external("zero"))
    (folder / "zero").symlink_to("/dev/zero")


@case("external data in a folder", "no regular file", seen=False)
def _(folder: Path) -> None:
    write(folder, external("sub"))
    (folder / "sub").mkdir()


@case("external data that is too short", "bytes 0 to 16, but there are 5", seen=False)
def _(folder: Path) -> None:
    write(folder, external("data.bin"))
    (folder / "data.bin").write_bytes(b"short")


@case("external data behind the end of the file", r"bytes 1000000000000 to 1000000000016", seen=False)
def _(folder: Path) -> None:
    write(folder, external("data.bin", offset=10**12))
    (folder / "data.bin").write_bytes(bytes(16))


for _name, _entries, _match in (
    ("a negative offset", {"offset": -16}, "offset='-16'"),
    ("an offset that is no number", {"offset": "1e3"}, "offset='1e3'"),
    ("an offset of a thousand digits", {"offset": "9" * 1000}, "offset='9999"),
    ("an offset in other digits", {"offset": "٣"}, "must be a number of bytes"),
    ("a length that does not fit", {"length": 17}, "takes 16 bytes, but its length is 17"),
    ("a negative length", {"length": -1}, "length='-1'"),
    ("a hundred entries", {f"k{k}": "v" for k in range(100)}, "describes its external data"),
):
    case(f"external data with {_name}", _match)(
        lambda folder, entries=_entries: write(folder, external("data.bin", **entries))
    )


@case("external data in a branch", "only initializers of the main graph")
def _(folder: Path) -> None:
    model = good()
    node = model.graph.node.add(op_type="Constant", output=["c"])
    attribute = node.attribute.add(name="value", type=AttributeProto.TENSOR)
    attribute.t.CopyFrom(external("/etc/passwd").graph.initializer[0])
    write(folder, model)


@case("external data beside raw data", "both in the model and in another file")
def _(folder: Path) -> None:
    model = external("data.bin")
    model.graph.initializer[0].raw_data = bytes(16)
    write(folder, model)


# -- tensors ---------------------------------------------------------------------------------------------------------


def stored(**fields: Any) -> onnx.ModelProto:
    """Return a model that stores one tensor made of these fields."""
    model = good()
    model.graph.initializer.append(TensorProto(**{"name": "w", "data_type": FLOAT, **fields}))
    return model


for _name, _fields, _match in (
    ("more sizes than data", {"dims": [2**40], "raw_data": b"abcd"}, r"takes 4398046511104 bytes, but 4 are stored"),
    ("sizes whose product overflows", {"dims": [2**32, 2**32], "raw_data": b""}, "but 0 are stored"),
    ("sizes that overflow to the stored number", {"dims": [2**62, 4, 1], "raw_data": bytes(16)}, "but 16 are stored"),
    ("a negative size", {"dims": [-1, 4], "raw_data": bytes(16)}, "no size may be negative"),
    ("two negative sizes", {"dims": [-2, -2], "raw_data": bytes(16)}, "no size may be negative"),
    ("a thousand dimensions", {"dims": [1] * 1000, "raw_data": bytes(4)}, "has 1000 dimensions"),
    ("an element type that does not exist", {"data_type": 999, "dims": [1]}, "element type 999"),
    ("no element type", {"data_type": 0, "dims": [1]}, "element type 0"),
    ("too few floats", {"dims": [3], "float_data": [1.0]}, "takes 3 entries, but 1 are stored"),
    ("floats for integers", {"data_type": INT64, "dims": [1], "float_data": [1.0]}, "but it holds float_data"),
    ("data in two fields", {"dims": [1], "float_data": [1.0], "raw_data": bytes(4)}, "beside float_data"),
    ("texts as raw data", {"data_type": STRING, "dims": [1], "raw_data": b"text"}, "texts as raw data"),
    ("too few texts", {"data_type": STRING, "dims": [2**40], "string_data": [b"a"]}, "but 1 are stored"),
    ("half of its four-bit data", {"data_type": TensorProto.INT4, "dims": [9], "raw_data": b"abcd"}, "takes 5 bytes"),
    ("a segment", {"dims": [1], "segment": TensorProto.Segment(begin=0, end=1), "raw_data": bytes(4)}, "segments"),
):
    case(f"a tensor with {_name}", _match)(lambda folder, fields=_fields: write(folder, stored(**fields)))


@case("a tensor declared with another shape", r"has the shape \[4\], but is declared as \[2, 2\]")
def _(folder: Path) -> None:
    model = stored(dims=[4], raw_data=bytes(16))
    model.graph.input.append(helper.make_tensor_value_info("w", FLOAT, [2, 2]))
    write(folder, model)


@case("a tensor stored twice", "stores 'w' more than once")
def _(folder: Path) -> None:
    model = stored(dims=[1], raw_data=bytes(4))
    model.graph.initializer.append(model.graph.initializer[0])
    write(folder, model)


@case("a large tensor stored twice", "stores 'w' more than once")
def _(folder: Path) -> None:
    model = stored(dims=[5000], raw_data=bytes(20000))
    model.graph.initializer.append(model.graph.initializer[0])
    write(folder, model)


def sparse(dims: list[int], places: list[int], shape: list[int]) -> onnx.ModelProto:
    model = good()
    entry = model.graph.sparse_initializer.add(dims=dims)
    entry.values.CopyFrom(helper.make_tensor("s", FLOAT, [2], [1.0, 2.0]))
    entry.indices.CopyFrom(helper.make_tensor("", INT64, shape, places))
    return model


case("a sparse tensor with a place outside", "places outside")(lambda f: write(f, sparse([3], [0, 3], [2])))
case("a sparse tensor with a negative place", "places outside")(lambda f: write(f, sparse([3], [0, -1], [2])))
case("a sparse tensor of a terabyte", "when it is dense")(lambda f: write(f, sparse([2**38], [0, 1], [2])))
case("a sparse tensor with lost places", "2 values, and places")(lambda f: write(f, sparse([3, 3], [0, 1, 2], [3])))


# -- names and order -------------------------------------------------------------------------------------------------


def _graph(name: str, body: str, match: str) -> None:
    case(name, match)(lambda folder: write(folder, parsed(body)))


X = "g (float[2] x) => (float[2] y)"
_graph(
    "a cycle of two nodes", f"{X} {{ a = Add(x, b) b = Relu(a) y = Relu(b) }}", "computes later: the nodes form a cycle"
)
_graph("a node that needs itself", f"{X} {{ y = Add(x, y) }}", "the nodes form a cycle")
_graph("nodes out of order", f"{X} {{ y = Relu(a) a = Relu(x) }}", "out of order")
_graph("a value from nowhere", f"{X} {{ y = Relu(nowhere) }}", "takes 'nowhere', which nothing defines")
_graph("a value defined twice", f"{X} {{ y = Relu(x) y = Neg(x) }}", "defines 'y', which is defined already")
_graph(
    "an input that a node defines again", f"{X} {{ x = Relu(x) y = Neg(x) }}", "defines 'x', which is defined already"
)
_graph("an output that nothing computes", "g (float[2] x) => (float[2] z) { y = Relu(x) }", "has the output 'z'")
_graph(
    "an input that comes twice", "g (float[2] x, float[2] x) => (float[2] y) { y = Relu(x) }", "has the input 'x' more"
)
_graph(
    "a body that takes a value of a later node",
    "g (bool c) => (float[1] y) { y = If (c) <then_branch = t () => (float[1] a) { a = Identity(late) }, "
    "else_branch = e () => (float[1] b) { b = Identity(late) }> late = Constant<value = float[1] {1}>() }",
    "takes 'late'",
)


def _changed(name: str, match: str, change: Callable[[onnx.ModelProto], Any]) -> None:
    def make(folder: Path) -> None:
        model = good()
        change(model)
        write(folder, model)

    case(name, match)(make)


def _set(path: str, value: Any) -> Callable[[onnx.ModelProto], Any]:
    *way, last = path.split(".")

    def change(model: onnx.ModelProto) -> None:
        place: Any = model
        for part in way:
            place = place[int(part)] if part.isdigit() else getattr(place, part)
        if last.isdigit():
            place[int(last)] = value
        else:
            setattr(place, last, value)

    return change


_changed("an operator without a name", "has no name", _set("graph.node.0.op_type", ""))
_changed("an input without a name", "has no name", _set("graph.input.0.name", ""))
_changed("an output without a name", "has no name", _set("graph.output.0.name", ""))
_changed("a name with a NUL", "control characters", _set("graph.node.0.name", "a\0b"))
_changed(
    "a name that moves the terminal's cursor", "control characters", _set("graph.node.0.name", "\x1b[2J\x1b]0;x\x07")
)
_changed("a value name with a newline", "control characters", _set("graph.input.0.name", "x\ny"))
_changed("an operator's name with a NUL", "control characters", _set("graph.node.0.op_type", "Relu\0Neg"))
_changed("a name of two megabytes", "characters", _set("graph.node.0.name", "n" * 2_000_000))
_changed("a domain of a megabyte", "characters", _set("graph.node.0.domain", "d" * 1_000_000))
_changed(
    "a negative size of an input",
    "no size may be negative",
    _set("graph.input.0.type.tensor_type.shape.dim.0.dim_value", -2),
)
_changed(
    "an input of an exabyte",
    "are allowed for one value",
    _set("graph.input.0.type.tensor_type.shape.dim.0.dim_value", 2**60),
)
_changed("an input of an unknown type", "element type 77", _set("graph.input.0.type.tensor_type.elem_type", 77))
_changed("a negative opset", "uses version -1", _set("opset_import.0.version", -1))
_changed("two opsets", "two versions", lambda m: m.opset_import.add(domain="ai.onnx", version=9))
_changed("an opset of the far future", "opset|version", _set("opset_import.0.version", 2**40))
_changed(
    "a size name with control characters",
    "control characters",
    _set("graph.input.0.type.tensor_type.shape.dim.0.dim_param", "n\x1b[2J"),
)
_changed(
    "a hundred thousand metadata texts",
    "metadata entries",
    lambda m: [m.metadata_props.add(key=str(k)) for k in range(100_001)],
)
_changed("a metadata key with a newline", "control characters", lambda m: m.metadata_props.add(key="a\nb", value="c"))


# -- attributes ------------------------------------------------------------------------------------------------------


def _node(name: str, match: str, op: str, *shapes: Any, opset: int = 20, names: str = "x", **attributes: Any) -> None:
    node = helper.make_node(op, list(names), ["y"], **attributes)
    case(name, match)(lambda folder: write(folder, model_of(node, *shapes, opset=opset)))


IMAGE = [1, 4, 8, 8]
for _size in (2**32, 2**31, 2**63 - 1, 0, -1, -(2**63)):
    _node(f"DepthToSpace in blocks of {_size}", "'blocksize' is", "DepthToSpace", [1, 4, 1, 1], blocksize=_size)
_node("SpaceToDepth in blocks of 2**32", "'blocksize' is 4294967296", "SpaceToDepth", IMAGE, blocksize=2**32)
_node("a convolution in 0 groups", "'group' is 0", "Conv", IMAGE, [4, 4, 3, 3], names="xw", group=0)
_node("a convolution in steps of 0", r"'strides' is \[0, 1\]", "Conv", IMAGE, [4, 4, 3, 3], names="xw", strides=[0, 1])
_node("a dilation below 0", r"'dilations' is \[-1", "Conv", IMAGE, [4, 4, 3, 3], names="xw", dilations=[-1, 1])
_node("a dilation of 2**62", "'dilations'", "Conv", IMAGE, [4, 4, 3, 3], names="xw", dilations=[2**62, 1])
_node("padding of 2**62", "'pads'", "MaxPool", IMAGE, kernel_shape=[2, 2], pads=[2**62, 0, 0, 0])
_node("padding below 0", "'pads'", "MaxPool", IMAGE, kernel_shape=[2, 2], pads=[-1, 0, 0, 0])
_node("a window of 0", "'kernel_shape'", "AveragePool", IMAGE, kernel_shape=[0, 2])
_node("a window of 2**40", "'kernel_shape'", "AveragePool", IMAGE, kernel_shape=[2**20, 2**20])
_node(
    "an axis far away", "'axis' is 9223372036854775807", "LayerNormalization", [2, 3], [3], names="xw", axis=2**63 - 1
)
_node("batch dimensions far below 0", "'batch_dims'", "GatherND", [2, 3], [1, 1], names="xi", batch_dims=-(2**31))
_node(
    "attention with 0 heads",
    "'kv_num_heads' is 0",
    "Attention",
    [1, 2, 8],
    [1, 2, 8],
    [1, 2, 8],
    names="qkv",
    opset=23,
    q_num_heads=2,
    kv_num_heads=0,
)
_node(
    "an LSTM of 2**62 units", "'hidden_size'", "LSTM", [1, 1, 1], [1, 4, 1], [1, 4, 1], names="xwr", hidden_size=2**62
)
_node("random numbers for a petabyte", "takes 1048576.0 GiB|takes 1.0e", "RandomNormal", names="", shape=[2**24, 2**24])
_node("a cast to nothing", "no element type", "Cast", [2], to=9999)
_node("an order of axes that is none", "no order of axes", "Transpose", [2, 3], perm=[0, 0])
_graph(
    "more parts than it is cut into",
    "g (float[6] x) => (float[a] p, float[b] q, float[c] r) { p, q, r = Split<num_outputs = 2>(x) }",
    "'num_outputs' is 2, but the node has 3 outputs",
)
_node(
    "no groups to normalise",
    "'num_groups' is 0",
    "GroupNormalization",
    IMAGE,
    [1],
    [1],
    names="xsb",
    opset=21,
    num_groups=0,
)
_node("a text for a number", "is of the kind STRING, and the operator wants INT", "Concat", [2], axis="zero")
_node("a number for a list", "is of the kind INT, and the operator wants INTS", "Transpose", [2, 3], perm=1)
_node(
    "a tensor for a number",
    "wants INT",
    "Gather",
    [2],
    [1],
    names="xi",
    axis=helper.make_tensor("t", FLOAT, [1], [0.0]),
)
_node("a graph for a text", "wants STRING", "MaxPool", IMAGE, kernel_shape=[2, 2], auto_pad=onnx.GraphProto(name="g"))
_node(
    "an old attribute of the wrong kind",
    "is of the kind STRING, and the operator wants FLOAT",
    "Clip",
    [2],
    opset=7,
    min="low",
)
_node("an old attribute with absurd numbers", "'scales'", "Upsample", IMAGE, opset=7, scales=[1.0, 1.0, 1e30, 1.0])
_node(
    "an old attribute that is no number", "'scales'", "Upsample", IMAGE, opset=7, scales=[1.0, 1.0, float("nan"), 1.0]
)


def _attribute(what: str, match: str, **fields: Any) -> None:
    def make(folder: Path) -> None:
        model = good()
        model.graph.node[0].op_type = "Elu"
        model.graph.node[0].attribute.append(
            AttributeProto(**{"name": "alpha", "type": AttributeProto.FLOAT, **fields})
        )
        write(folder, model)

    case(what, match)(make)


_attribute("an attribute of a kind that does not exist", "of the kind 0", type=0, f=1.0)
_attribute("an attribute that holds two things", "but holds 'ints'", f=1.0, ints=[1])
_attribute("an attribute without a name", "has no name", name="", f=1.0)
_attribute("a graph that is not there", "wants FLOAT", type=AttributeProto.GRAPH)


@case("an attribute that comes twice", "comes twice")
def _(folder: Path) -> None:
    node = helper.make_node("Elu", ["x"], ["y"], alpha=1.0)
    node.attribute.append(helper.make_attribute("alpha", 2.0))
    write(folder, model_of(node, [2]))


# -- sizes from constants --------------------------------------------------------------------------------------------


def _sized(
    name: str, match: str, op: str, *tensors: TensorProto, shape: Any = (2, 3), opset: int = 20, **attributes: Any
) -> None:
    inputs = (
        [t.name for t in tensors]
        if op in ("ConstantOfShape", "Range", "HannWindow")
        else ["x", *(t.name for t in tensors)]
    )
    node = helper.make_node(op, inputs, ["y"], **attributes)
    case(name, match)(lambda folder: write(folder, model_of(node, list(shape), initializers=tensors, opset=opset)))


GIB = "are allowed for one value; .*NNGRAPH_MAX_TENSOR_GIB"
_sized("zeros of a terabyte", GIB, "ConstantOfShape", ints("s", 2**38))
_sized("zeros of 2**126", GIB, "ConstantOfShape", ints("s", 2**63 - 1, 2**63 - 1))
_sized("zeros of a negative size", "no size may be negative", "ConstantOfShape", ints("s", -5))
_sized(
    "a shape of floats",
    "sizes are whole numbers",
    "ConstantOfShape",
    helper.make_tensor("s", FLOAT, [1], [float("inf")]),
)
_sized("a million copies of a million copies", GIB, "Tile", ints("r", 2**20, 2**20))
_sized("a negative number of copies", "the count -1", "Tile", ints("r", -1, 1))
_sized("one number for a petabyte", GIB, "Expand", ints("s", 2**25, 2**25), shape=(1, 1))
_sized("a border of 2**62", "the padding 4611686018427387904", "Pad", ints("p", 2**62, 0, 0, 0))
_sized(
    "an enlargement by 1e30",
    "the scale 1",
    "Resize",
    helper.make_tensor("r", FLOAT, [0], []),
    helper.make_tensor("s", FLOAT, [2], [1e30, 1.0]),
)
_sized(
    "an enlargement by nothing",
    "the scale 0.0",
    "Resize",
    helper.make_tensor("r", FLOAT, [0], []),
    helper.make_tensor("s", FLOAT, [2], [0.0, 1.0]),
)
_sized(
    "2**62 classes",
    "the depth 4611686018427387904",
    "OneHot",
    ints("d", 2**62, shape=[]),
    helper.make_tensor("v", FLOAT, [2], [0, 1]),
)
_sized("the best -1", "k = -1", "TopK", ints("k", -1), opset=13)
_sized(
    "numbers without end", "never ends", "Range", ints("a", 0, shape=[]), ints("b", 9, shape=[]), ints("c", 0, shape=[])
)
_sized("a trillion numbers", GIB, "Range", ints("a", 0, shape=[]), ints("b", 2**40, shape=[]), ints("c", 1, shape=[]))
_sized("a window of 2**50", "the length 1125899906842624", "HannWindow", ints("n", 2**50, shape=[]))


@case("a chain of nodes that each double twenty times", GIB, seen=False)
def _(folder: Path) -> None:
    nodes = [
        helper.make_node("Tile", ["x" if not k else f"v{k}", "r"], [f"v{k + 1}" if k < 2 else "y"]) for k in range(3)
    ]
    x, y = (helper.make_tensor_value_info(n, FLOAT, [s]) for n, s in (("x", 1), ("y", "n")))
    graph = helper.make_graph(nodes, "g", [x], [y], [ints("r", 2**20)])
    write(folder, helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9))


# -- functions and bodies --------------------------------------------------------------------------------------------


def functions(*bodies: str) -> onnx.ModelProto:
    texts = [f'<domain: "f", opset_import: ["": 20, "f": 1]> {body}' for body in bodies]
    return onnx.parser.parse_model(
        '<ir_version: 9, opset_import: ["": 20, "f": 1]> g (float[2] x) => (float[2] y) { y = f.a(x) } '
        + " ".join(texts)
    )


case("a function that calls itself", "calls itself")(lambda f: write(f, functions("a (x) => (y) { y = f.a(x) }")))
case("functions that call each other", "calls itself, through 'a', 'b'")(
    lambda f: write(f, functions("a (x) => (y) { y = f.b(x) }", "b (x) => (y) { y = f.a(x) }"))
)
case("a billion nodes in thirty functions", "nodes once its functions are inlined")(
    lambda f: write(
        f,
        functions(
            "a (x) => (y) { y = f.c0(x) }",
            *(f"c{k} (x) => (y) {{ a = f.c{k + 1}(x) y = f.c{k + 1}(a) }}" for k in range(30)),
            "c30 (x) => (y) { y = Relu(x) }",
        ),
    )
)
case("a function defined twice", "is defined twice")(
    lambda f: write(f, functions("a (x) => (y) { y = Relu(x) }", "a (x) => (y) { y = Neg(x) }"))
)
case("a function with an output from nowhere", "has the output 'z'")(
    lambda f: write(f, functions("a (x) => (z) { y = Relu(x) }"))
)


def _branches(depth: int) -> onnx.ModelProto:
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y0"])], "b", [], [onnx.ValueInfoProto(name="y0")])
    for k in range(1, depth):
        node = helper.make_node("If", ["c"], [f"y{k}"], then_branch=graph, else_branch=onnx.GraphProto(name="e"))
        graph = helper.make_graph([node], "b", [], [onnx.ValueInfoProto(name=f"y{k}")])
    model = good("g (float[2] x, bool c) => (float[2] y) { y = Relu(x) }")
    model.graph.node[0].CopyFrom(
        helper.make_node("If", ["c"], ["y"], then_branch=graph, else_branch=onnx.GraphProto(name="e"))
    )
    return model


case("twenty branches in each other", r"graphs deep")(lambda f: write(f, _branches(20)))


def case_names() -> Iterator[str]:
    """Yield the names of all cases."""
    return (c.name for c in CASES)


assert len(set(case_names())) == len(CASES)
