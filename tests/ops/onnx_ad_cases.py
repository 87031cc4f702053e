"""For which operators onnx-ad 0.3 gives the same gradient, and the number of the sample that shows it."""

from __future__ import annotations

CASES = {
    op: int(k)
    for op, k in (
        case.split(":")
        for case in """
    Abs:1 Acos:1 Acosh:1 Add:1 AffineGrid:2 Asin:1 Asinh:1 Atan:1 Atanh:1 Attention:1 AveragePool:4 Cast:0
    CastLike:1 CenterCropPad:0 Clip:1 Col2Im:1 Compress:1 Concat:1 Conv:5 Cos:1 Cosh:1 CumProd:1 CumSum:1 DFT:3
    DeformConv:1 DepthToSpace:1 Div:1 Dropout:1 Einsum:1 Elu:1 Erf:1 Exp:1 Expand:1 Flatten:1 GRU:1 Gather:1
    GatherElements:1 GatherND:1 Gelu:1 Gemm:1 GlobalAveragePool:1 GlobalLpPool:1 GlobalMaxPool:1 GridSample:1
    GroupNormalization:0 HardSigmoid:1 HardSwish:0 Identity:1 If:0 InstanceNormalization:1 LRN:0 LSTM:1
    LayerNormalization:1 LeakyRelu:1 Log:1 LogSoftmax:1 Loop:1 LpNormalization:1 LpPool:0 MatMul:1 Max:1
    MaxPool:1 MaxUnpool:1 Mean:1 MeanVarianceNormalization:1 Min:1 Mish:0 Mod:0 Mul:1 Neg:1
    NegativeLogLikelihoodLoss:1 PRelu:1 Pad:3 Pow:1 RMSNormalization:0 RNN:1 Range:0 Reciprocal:1 ReduceL1:1
    ReduceL2:1 ReduceLogSum:1 ReduceLogSumExp:1 ReduceMax:1 ReduceMean:1 ReduceMin:1 ReduceProd:1 ReduceSum:1
    ReduceSumSquare:1 Relu:1 Reshape:1 Resize:1 ReverseSequence:1 STFT:0 Scan:1 ScatterElements:1 ScatterND:1
    Selu:1 Shrink:1 Sigmoid:1 Sin:1 Sinh:1 Slice:1 Softmax:1 SoftmaxCrossEntropyLoss:1 Softplus:0 Softsign:0
    SpaceToDepth:0 Split:1 Sqrt:1 Squeeze:1 Sub:1 Sum:1 Swish:1 Tan:1 Tanh:1 TensorScatter:1 ThresholdedRelu:1
    Tile:1 TopK:1 Transpose:1 Trilu:1 Unique:1 Unsqueeze:1 Where:1
    """.split()  # noqa: SIM905
    )
}

AGREES = frozenset(CASES)
