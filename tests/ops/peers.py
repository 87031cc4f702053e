"""What other projects differentiate, of ai.onnx."""

from __future__ import annotations

ORT_TRAINING = frozenset(
    """
    Abs Add AveragePool BatchNormalization Cast Clip Concat Conv ConvTranspose Cos Div Dropout Erf Exp Expand
    Flatten GRU Gather GatherElements GatherND Gelu Gemm GlobalAveragePool GlobalMaxPool Identity LSTM
    LayerNormalization LeakyRelu Log LogSoftmax MatMul Max MaxPool Min Mul Neg Pad Pow RMSNormalization
    Reciprocal ReduceL2 ReduceLogSumExp ReduceMean ReduceSum Relu Reshape Resize ScatterElements ScatterND
    Sigmoid Sin Slice Softmax SoftmaxCrossEntropyLoss Split Sqrt Squeeze Sub Tanh Tile TopK Transpose Trilu
    Unsqueeze Where
    """.split()  # noqa: SIM905
)
"""The standard operators with a gradient in onnxruntime-training 1.19.2; GlobalMaxPool its source got later."""

ONNX_AD = frozenset(
    """
    Abs Acos Acosh Add AffineGrid Asin Asinh Atan Atanh Attention AveragePool BatchNormalization Cast CastLike
    Celu CenterCropPad Clip Col2Im Compress Concat Conv ConvTranspose Cos Cosh CumProd CumSum DFT DeformConv
    DepthToSpace DequantizeLinear Div Dropout Einsum Elu Erf Exp Expand Flatten GRU Gather GatherElements
    GatherND Gelu Gemm GlobalAveragePool GlobalLpPool GlobalMaxPool GridSample GroupNormalization HardSigmoid
    HardSwish Identity If InstanceNormalization LRN LSTM LayerNormalization LeakyRelu Log LogSoftmax Loop
    LpNormalization LpPool MatMul Max MaxPool MaxUnpool Mean MeanVarianceNormalization Min Mish Mod Mul Neg
    NegativeLogLikelihoodLoss PRelu Pad Pow RMSNormalization RNN Range Reciprocal ReduceL1 ReduceL2 ReduceLogSum
    ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare Relu Reshape Resize
    ReverseSequence RoiAlign RotaryEmbedding STFT Scan ScatterElements ScatterND Selu Shrink Sigmoid Sin Sinh
    Slice Softmax SoftmaxCrossEntropyLoss Softplus Softsign SpaceToDepth Split Sqrt Squeeze Sub Sum Swish Tan
    Tanh TensorScatter ThresholdedRelu Tile TopK Transpose Trilu Unique Unsqueeze Where
    """.split()  # noqa: SIM905
)
"""onnx-ad 0.3: rules, function bodies and lowered forms, without Scatter and Upsample, which are deprecated."""
