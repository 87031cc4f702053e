"""The networks through the Keras API: nngraph and Keras run the same functions.

Each function takes the imported module and returns an uncompiled model that gives logits. Strided convolutions pad by
themselves (``ZeroPadding2D``, as Keras's own ResNet and MobileNet do), so that all frameworks see the same pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.workloads import LM_VOCABULARY, MOBILENET_BLOCKS, VOCABULARY

__all__ = ["MODELS"]


def mlp(keras: Any, dropout: bool) -> Any:
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((784,)),
            layers.Dense(128, activation="relu", name="hidden"),
            *([layers.Dropout(0.2)] if dropout else []),
            layers.Dense(10, name="output"),
        ]
    )


def cnn(keras: Any, dropout: bool) -> Any:
    layers = keras.layers
    parts = [
        keras.Input((32, 32, 3)),
        layers.Conv2D(32, 3, activation="relu", name="conv1"),
        layers.MaxPooling2D(2),
        layers.Dropout(0.25),
        layers.Conv2D(64, 3, activation="relu", name="conv2"),
        layers.MaxPooling2D(2),
        layers.Dropout(0.25),
        layers.Flatten(),
        layers.Dense(512, activation="relu", name="hidden"),
        layers.Dropout(0.5),
        layers.Dense(10, name="output"),
    ]
    return keras.Sequential([part for part in parts if dropout or not isinstance(part, layers.Dropout)])


def _conv_bn(keras: Any, x: Any, filters: int, kernel: int, stride: int, name: str) -> Any:
    layers = keras.layers
    if stride > 1 and kernel > 1:
        x = layers.ZeroPadding2D(kernel // 2)(x)
        x = layers.Conv2D(filters, kernel, stride, use_bias=False, name=f"{name}_conv")(x)
    else:
        x = layers.Conv2D(filters, kernel, stride, padding="same", use_bias=False, name=f"{name}_conv")(x)
    return layers.BatchNormalization(name=f"{name}_bn")(x)


def _resnet(keras: Any, stages: tuple[int, ...], blocks: int) -> Any:
    layers = keras.layers
    inputs = keras.Input((32, 32, 3))
    x = layers.ReLU()(_conv_bn(keras, inputs, stages[0], 3, 1, "stem"))
    for s, filters in enumerate(stages):
        for b in range(blocks):
            name, stride = f"s{s}b{b}", 2 if s and not b else 1
            y = layers.ReLU()(_conv_bn(keras, x, filters, 3, stride, f"{name}_1"))
            y = _conv_bn(keras, y, filters, 3, 1, f"{name}_2")
            shortcut = x if stride == 1 else _conv_bn(keras, x, filters, 1, stride, f"{name}_3")
            x = layers.ReLU()(layers.Add()([shortcut, y]))
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(10, name="output")(x))


def resnet(keras: Any, dropout: bool) -> Any:
    return _resnet(keras, (32, 64, 128), 2)


def resnet100(keras: Any, dropout: bool) -> Any:
    return _resnet(keras, (8, 16, 32), 16)


def _recurrent(keras: Any, layer: Any) -> Any:
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((100,), dtype="int32"),
            layers.Embedding(VOCABULARY, 128, name="embedding"),
            layer,
            layers.Dense(1, name="output"),
        ]
    )


def lstm(keras: Any, dropout: bool) -> Any:
    return _recurrent(keras, keras.layers.LSTM(128, name="recurrent"))


def gru(keras: Any, dropout: bool) -> Any:
    return _recurrent(keras, keras.layers.GRU(128, name="recurrent"))


def _positions(keras: Any, length: int, width: int) -> Any:
    class Positions(keras.layers.Layer):  # type: ignore[misc]
        """Adds one learned vector to each place of the sequence."""

        def build(self, input_shape: Any) -> None:
            self.table = self.add_weight(shape=(length, width), initializer="uniform", name="table")

        def call(self, x: Any) -> Any:
            return x + self.table

    return Positions(name="positions")


def _attention_stack(
    keras: Any, vocabulary: int, length: int, width: int, heads: int, blocks: int, causal: bool
) -> tuple[Any, Any]:
    layers = keras.layers
    tokens = keras.Input((length,), dtype="int32")
    x = layers.Embedding(vocabulary, width, name="embedding")(tokens)
    x = _positions(keras, length, width)(x)
    for b in range(blocks):
        y = layers.LayerNormalization(name=f"b{b}_norm1")(x)
        attention = layers.MultiHeadAttention(heads, width // heads, name=f"b{b}_attention")
        x = layers.Add()([x, attention(y, y, use_causal_mask=causal)])
        y = layers.LayerNormalization(name=f"b{b}_norm2")(x)
        y = layers.Dense(4 * width, activation="gelu", name=f"b{b}_up")(y)
        x = layers.Add()([x, layers.Dense(width, name=f"b{b}_down")(y)])
    return tokens, layers.LayerNormalization(name="norm")(x)


def transformer(keras: Any, dropout: bool) -> Any:
    tokens, x = _attention_stack(keras, VOCABULARY, 128, 256, 4, 4, causal=False)
    x = keras.layers.GlobalAveragePooling1D()(x)
    return keras.Model(tokens, keras.layers.Dense(10, name="output")(x))


def lm(keras: Any, dropout: bool) -> Any:
    tokens, x = _attention_stack(keras, LM_VOCABULARY, 128, 256, 4, 2, causal=True)
    return keras.Model(tokens, keras.layers.Dense(LM_VOCABULARY, name="output")(x))


def unet(keras: Any, dropout: bool) -> Any:
    layers = keras.layers

    def double(x: Any, filters: int, name: str) -> Any:
        for k in (1, 2):
            x = layers.Conv2D(filters, 3, padding="same", activation="relu", name=f"{name}_conv{k}")(x)
        return x

    inputs = keras.Input((64, 64, 3))
    top = double(inputs, 16, "down1")
    middle = double(layers.MaxPooling2D(2)(top), 32, "down2")
    x = double(layers.MaxPooling2D(2)(middle), 64, "bottom")
    x = layers.Conv2DTranspose(32, 2, 2, name="up2_conv")(x)
    x = double(layers.Concatenate()([middle, x]), 32, "up2")
    x = layers.Conv2DTranspose(16, 2, 2, name="up1_conv")(x)
    x = double(layers.Concatenate()([top, x]), 16, "up1")
    return keras.Model(inputs, layers.Conv2D(1, 1, name="output")(x))


def mobilenet(keras: Any, dropout: bool) -> Any:
    layers = keras.layers
    inputs = keras.Input((64, 64, 3))
    x = layers.ReLU(6.0)(_conv_bn(keras, inputs, 32, 3, 2, "stem"))
    for k, (filters, stride) in enumerate(MOBILENET_BLOCKS):
        if stride > 1:
            x = layers.ZeroPadding2D(1)(x)
        padding = "same" if stride == 1 else "valid"
        x = layers.DepthwiseConv2D(3, stride, padding=padding, use_bias=False, name=f"m{k}_1_conv")(x)
        x = layers.ReLU(6.0)(layers.BatchNormalization(name=f"m{k}_1_bn")(x))
        x = layers.ReLU(6.0)(_conv_bn(keras, x, filters, 1, 1, f"m{k}_2"))
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(10, name="output")(x))


MODELS: dict[str, Callable[[Any, bool], Any]] = {
    f.__name__: f for f in (mlp, cnn, resnet, resnet100, lstm, gru, transformer, lm, unet, mobilenet)
}
