"""Models as other tools write them, made without nngraph: what ``load_onnx`` is tested on."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

__all__ = ["convnet", "custom_domain", "fixed_batch", "model_of", "runtime", "transformer"]


def model_of(
    nodes: list[onnx.NodeProto],
    inputs: dict[str, list[Any]],
    outputs: list[str],
    weights: dict[str, np.ndarray],
    *,
    opset: int = 17,
    domains: dict[str, int] | None = None,
    dtype: int = onnx.TensorProto.FLOAT,
) -> onnx.ModelProto:
    """Return a model of these nodes; outputs declare no more than their element type."""
    graph = helper.make_graph(
        nodes,
        "net",
        [
            helper.make_tensor_value_info(n, onnx.TensorProto.INT64 if n.endswith("ids") else dtype, s)
            for n, s in inputs.items()
        ],
        [helper.make_tensor_value_info(n, dtype, None) for n in outputs],
        [numpy_helper.from_array(a, n) for n, a in weights.items()],
    )
    imports = [helper.make_opsetid(d, v) for d, v in {"": opset, **(domains or {})}.items()]
    model = helper.make_model(graph, opset_imports=imports, ir_version=8, producer_name="elsewhere")
    helper.set_model_props(model, {"author": "somebody", "classes": "a,b,c"})
    return model


def _he(rng: np.random.Generator, *shape: int) -> np.ndarray:
    fan = int(np.prod(shape[1:])) if len(shape) > 2 else shape[0]
    return (rng.standard_normal(shape) * np.sqrt(2 / fan)).astype("float32")


def convnet(classes: int = 3, *, opset: int = 11, batch: Any = "N") -> onnx.ModelProto:
    """Convolution, batch normalisation, dropout, flatten and a dense layer, named as PyTorch names them."""
    rng = np.random.default_rng(1)
    weights = {
        "features.0.weight": _he(rng, 4, 1, 3, 3),
        "features.0.bias": np.zeros(4, "float32"),
        "features.1.weight": np.ones(4, "float32"),
        "features.1.bias": np.zeros(4, "float32"),
        "features.1.running_mean": np.full(4, 0.1, "float32"),
        "features.1.running_var": np.full(4, 0.9, "float32"),
        "classifier.weight": _he(rng, classes, 64),
        "classifier.bias": np.zeros(classes, "float32"),
    }
    nodes = [
        helper.make_node(
            "Conv", ["image", "features.0.weight", "features.0.bias"], ["a"], "conv", pads=[1] * 4, kernel_shape=[3, 3]
        ),
        helper.make_node(
            "BatchNormalization",
            ["a", *(f"features.1.{n}" for n in ("weight", "bias", "running_mean", "running_var"))],
            ["b"],
            "norm",
            momentum=0.8,
        ),
        helper.make_node("Relu", ["b"], ["c"], "act"),
        helper.make_node("MaxPool", ["c"], ["d"], "pool", kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Flatten", ["d"], ["features"], "flat"),
        helper.make_node("Dropout", ["features"], ["e"], "drop", ratio=0.25)
        if opset < 12
        else helper.make_node("Dropout", ["features", "ratio"], ["e"], "drop"),
        helper.make_node("Gemm", ["e", "classifier.weight", "classifier.bias"], ["logits"], "fc", transB=1),
        helper.make_node("Softmax", ["logits"], ["probabilities"], "softmax", axis=1),
    ]
    if opset >= 12:
        weights["ratio"] = np.array(0.25, "float32")
    return model_of(nodes, {"image": [batch, 1, 8, 8]}, ["probabilities"], weights, opset=opset)


def fixed_batch() -> onnx.ModelProto:
    """A model that fixes its batch size to 1, also in the target of a Reshape."""
    rng = np.random.default_rng(2)
    weights = {"w": _he(rng, 12, 5), "shape": np.array([1, 12], "int64")}
    nodes = [
        helper.make_node("Relu", ["x"], ["a"]),
        helper.make_node("Reshape", ["a", "shape"], ["b"]),
        helper.make_node("MatMul", ["b", "w"], ["y"]),
    ]
    return model_of(nodes, {"x": [1, 3, 4]}, ["y"], weights)


def custom_domain() -> onnx.ModelProto:
    """Operators that onnx does not know, two of which the runtime does."""
    rng = np.random.default_rng(3)
    weights = {"w": _he(rng, 4, 4), "bias": np.float32([1, 2, 3, 4])}
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["a"], "first"),
        helper.make_node("BiasGelu", ["a", "bias"], ["b"], "gelu", domain="com.microsoft"),
        helper.make_node("Relu", ["b"], ["c"], "act"),
        helper.make_node("FusedMatMul", ["c", "w"], ["y"], "second", domain="com.microsoft", transB=1, alpha=0.5),
    ]
    return model_of(nodes, {"x": ["n", 4]}, ["y"], weights, domains={"com.microsoft": 1})


def transformer(tokens: int = 20, width: int = 16, heads: int = 2, layers: int = 2) -> onnx.ModelProto:
    """A transformer encoder in plain operators with shapes computed at run time, as PyTorch exports one."""
    rng = np.random.default_rng(4)
    weights: dict[str, np.ndarray] = {
        "embed.weight": rng.standard_normal((tokens, width)).astype("float32") * 0.5,
        "position.weight": rng.standard_normal((1, 32, width)).astype("float32") * 0.5,
        "two": np.array(2.0, "float32"),
        "one": np.array(1.0, "float32"),
        "half": np.array(0.5, "float32"),
        "root2": np.array(np.sqrt(2.0), "float32"),
        "eps": np.array(1e-5, "float32"),
        "scale": np.array(1 / np.sqrt(width / heads), "float32"),
        "i0": np.array(0, "int64"),
        "i1": np.array(1, "int64"),
        "v0": np.array([0], "int64"),
        "v1": np.array([1], "int64"),
        "heads": np.array([heads], "int64"),
        "per_head": np.array([width // heads], "int64"),
        "width": np.array([width], "int64"),
    }
    nodes: list[onnx.NodeProto] = []
    count = 0

    def add(op: str, *inputs: str, **attributes: Any) -> str:
        nonlocal count
        count += 1
        nodes.append(helper.make_node(op, list(inputs), [f"/{op}_{count}"], f"node_{count}", **attributes))
        return f"/{op}_{count}"

    def linear(x: str, name: str, m: int, n: int) -> str:
        weights[f"{name}.weight"] = (rng.standard_normal((m, n)) / np.sqrt(m)).astype("float32")
        weights[f"{name}.bias"] = np.zeros(n, "float32")
        return add("Add", add("MatMul", x, f"{name}.weight"), f"{name}.bias")

    def norm(x: str, name: str) -> str:
        weights[f"{name}.weight"], weights[f"{name}.bias"] = np.ones(width, "float32"), np.zeros(width, "float32")
        away = add("Sub", x, add("ReduceMean", x, axes=[-1]))
        spread = add("Sqrt", add("Add", add("ReduceMean", add("Pow", away, "two"), axes=[-1]), "eps"))
        return add("Add", add("Mul", add("Div", away, spread), f"{name}.weight"), f"{name}.bias")

    shape = add("Shape", "ids")
    batch = add("Unsqueeze", add("Gather", shape, "i0"), "v0")
    length = add("Unsqueeze", add("Gather", shape, "i1"), "v0")
    x = add("Add", add("Gather", "embed.weight", "ids"), add("Slice", "position.weight", "v0", length, "v1"))
    for k in range(layers):
        split = add("Concat", batch, length, "heads", "per_head", axis=0)
        y = norm(x, f"block{k}.norm1")
        q, key, v = (
            add("Transpose", add("Reshape", linear(y, f"block{k}.{n}", width, width), split), perm=[0, 2, 1, 3])
            for n in "qkv"
        )
        scores = add("Mul", add("MatMul", q, add("Transpose", key, perm=[0, 1, 3, 2])), "scale")
        mixed = add("Transpose", add("MatMul", add("Softmax", scores, axis=-1), v), perm=[0, 2, 1, 3])
        joined = add("Reshape", mixed, add("Concat", batch, length, "width", axis=0))
        x = add("Add", x, linear(joined, f"block{k}.out", width, width))
        y = linear(norm(x, f"block{k}.norm2"), f"block{k}.up", width, 2 * width)
        y = add("Mul", add("Mul", y, add("Add", add("Erf", add("Div", y, "root2")), "one")), "half")
        x = add("Add", x, linear(y, f"block{k}.down", 2 * width, width))
    pooled = add("ReduceMean", norm(x, "final"), axes=[1], keepdims=0)
    linear(pooled, "head", width, 3)
    nodes[-1].output[0] = "logits"
    return model_of(nodes, {"ids": ["batch", "length"]}, ["logits"], weights, opset=14)


def runtime(model: onnx.ModelProto | str) -> Any:
    """Return a plain onnxruntime session."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    source = model if isinstance(model, str) else model.SerializeToString()
    return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
