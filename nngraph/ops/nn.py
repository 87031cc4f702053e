"""What neural networks need, under the name it has in Keras: ``ops.nn.relu`` is ``ops.relu``."""

# ruff: noqa: F403  (this file only re-exports)
from nngraph.ops.comparison import one_hot as one_hot
from nngraph.ops.nn_activations import *
from nngraph.ops.nn_attention import *
from nngraph.ops.nn_conv import *
from nngraph.ops.nn_ctc import *
from nngraph.ops.nn_losses import *
from nngraph.ops.nn_misc import *
from nngraph.ops.nn_norm import *
from nngraph.ops.nn_pool import *
