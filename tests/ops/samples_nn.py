"""Samples of activations, normalisations and losses."""

from __future__ import annotations

import numpy as np
from sample import S, Sample, apart, below, between, normal

from nngraph.ops import raw
from nngraph.ops.nn_losses import softmax_crossentropy

# Away from the kinks at 0, ±0.5, ±1 and ±3, and on both sides of each.
KINKY = np.array([[-7.3, -2.2, -0.8, -0.3], [0.2, 0.7, 1.6, 4.1]])
NONE = "the runtime has it as a function of other operators only"


def per_feature() -> np.ndarray:
    return between(0.5, 1.5, 4)


IMAGES = normal(3, 4, 2, 5)
STATISTICS = (per_feature(), normal(4), normal(4), per_feature())
LABELS = np.array([2, 0, 3])
NAMED_CLASSES = "the number of classes must be known"


def log_probabilities(*shape: int) -> np.ndarray:
    z = normal(*shape)
    return z - np.log(np.exp(z).sum(-1, keepdims=True))


def loss_of(logits, labels):
    return softmax_crossentropy(logits, labels, outputs=2)[0]


def both_of(logits, labels):
    return softmax_crossentropy(logits, labels, outputs=2)


def only(sample: Sample) -> Sample:
    return sample.but(named=False, why=NAMED_CLASSES)


def statistics(x, scale):
    """The outputs Mean and InvStdDev of a layer normalisation, which are of single precision by definition."""
    y, mean, inverse = raw.LayerNormalization(x, scale, epsilon=0.1, outputs=3)
    return y, raw.CastLike(mean, x), raw.CastLike(inverse, x)


SAMPLES = {
    "Elu": [S(KINKY), S(KINKY, alpha=0.5), S(KINKY, alpha=-0.5)],
    "Selu": [S(KINKY), S(KINKY, alpha=1.5, gamma=2.0)],
    "Celu": [S(KINKY, **a).but(single=True, step=0.02, rtol=1e-5) for a in ({"alpha": 0.5}, {})],
    "LeakyRelu": [S(KINKY), S(KINKY, alpha=0.3), S(KINKY, alpha=-0.3)],
    "PRelu": [S(KINKY, normal(4)), S(KINKY, normal(2, 4))],
    "ThresholdedRelu": [S(KINKY, alpha=0.5), S(KINKY)],
    "Shrink": [S(KINKY), S(KINKY, lambd=1.0, bias=0.3)],
    "HardSigmoid": [S(KINKY), S(KINKY, alpha=0.3, beta=0.4)],
    "HardSwish": [S(KINKY)],
    "Softplus": [S(KINKY)],
    "Softsign": [S(KINKY)],
    "Swish": [S(KINKY), S(KINKY, alpha=1.5)],
    "Mish": [S(KINKY)],
    "Gelu": [S(KINKY), S(KINKY, approximate="tanh")],
    "Softmax": [S(normal(2, 3)), S(normal(2, 3, 2), axis=1)],
    "LogSoftmax": [S(normal(2, 3)), S(normal(2, 3, 2), axis=1)],
    "Hardmax": [S(apart(2, 3)), S(apart(2, 3), axis=0)],
    # -- normalisations
    "BatchNormalization": [
        S(IMAGES, *STATISTICS, epsilon=0.01),
        S(normal(5, 4), *STATISTICS, epsilon=0.01),
        S(IMAGES, *STATISTICS, training_mode=1, momentum=0.7, epsilon=0.01).but(outputs=3, rtol=1e-5),
        S(normal(5, 4), *STATISTICS, training_mode=1, epsilon=0.01).but(outputs=3, rtol=1e-5),
    ],
    "nngraph::CappedRelu": [S(KINKY, most=0.6)],
    "nngraph::BatchNormTraining": [
        S(IMAGES, per_feature(), normal(4), epsilon=0.01).but(outputs=4),
        S(normal(5, 4), per_feature(), normal(4), epsilon=0.01).but(outputs=4),
    ],
    "nngraph::BatchNormGrad": [S(normal(3, 4, 2), normal(3, 4, 2), *STATISTICS[:3]).but(outputs=3)],
    "LayerNormalization": [
        S(IMAGES, normal(5), normal(5), epsilon=0.01),
        S(IMAGES, normal(2, 5), axis=2, epsilon=0.01),
        S(normal(3, 4), normal(4), normal(4), axis=1),
        S(normal(3, 4), normal(4)).but(call=statistics, single=True, step=0.02, rtol=1e-5),
    ],
    "nngraph::LayerNormGrad": [
        S(normal(3, 4), normal(3, 4), normal(4), epsilon=0.01).but(outputs=2),
        S(normal(2, 3, 4), normal(2, 3, 4), normal(3, 4), axis=1, epsilon=0.01).but(outputs=2),
    ],
    "RMSNormalization": [S(IMAGES, normal(5), epsilon=0.01), S(IMAGES, normal(2, 5), axis=-2)],
    "nngraph::RMSNormGrad": [S(normal(3, 4), normal(3, 4), normal(4), epsilon=0.01).but(outputs=2)],
    "InstanceNormalization": [S(IMAGES, normal(4), normal(4), epsilon=0.01), S(normal(2, 3, 6), normal(3), normal(3))],
    "GroupNormalization": [S(IMAGES, normal(4), normal(4), num_groups=2, epsilon=0.01).but(reference=False, why=NONE)],
    "MeanVarianceNormalization": [S(IMAGES), S(normal(4, 3), axes=(1,)).but(rtol=1e-5)],
    "LRN": [
        S(IMAGES, size=3, alpha=0.5).but(reference=False, why="onnx.reference sums over the wrong channels"),
        S(normal(2, 6, 3, 2), size=5, alpha=0.5, beta=0.6, bias=1.5).but(reference=False, why="as above"),
    ],
    "LpNormalization": [
        S(normal(2, 3, 2)),
        S(apart(2, 3), axis=0, p=1).but(reference=False, why="onnx.reference forgets the magnitude"),
    ],
    "Dropout": [S(normal(2, 3)), S(normal(2, 3), np.float32(0.5), np.array(False))],
    # -- losses
    "nngraph::SigmoidCrossEntropy": [S(normal(2, 3), between(0, 1, 2, 3))],
    "nngraph::SoftmaxCrossEntropy": [
        S(normal(3, 4), between(0, 1, 3, 4)).but(outputs=2),
        S(normal(2, 3, 4), between(0, 1, 2, 3, 4)).but(call=loss_of),
        only(S(normal(3, 4), LABELS).but(call=both_of)),
        only(S(normal(3, 4), np.array([-1, 2, 4], np.int32)).but(call=loss_of)),
    ],
    "nngraph::SoftmaxCrossEntropyGrad": [
        S(normal(3), log_probabilities(3, 4), between(0, 1, 3, 4)),
        only(S(normal(3), log_probabilities(3, 4), LABELS)),
    ],
    "NegativeLogLikelihoodLoss": [
        only(S(normal(3, 4), LABELS)),
        only(S(normal(3, 4), LABELS, per_feature(), reduction="sum", ignore_index=2)),
        only(S(normal(3, 4, 2), below(4, 3, 2), per_feature(), reduction="none")),
    ],
    "SoftmaxCrossEntropyLoss": [
        only(S(normal(3, 4), LABELS)),
        only(S(normal(3, 4), LABELS, per_feature(), reduction="mean", ignore_index=0).but(outputs=2)),
        only(S(normal(3, 4, 2), below(4, 3, 2), reduction="none")),
    ],
}
