"""Operations: named as in ``keras.ops``, recorded on symbolic tensors and run at once on arrays."""

# ruff: noqa: F401, F403  (this file only re-exports; the vjp modules are imported for the rules they register)
from nngraph.ops import (
    bits,
    float64_forms,
    float64_windows,
    image,
    linalg,
    nn,
    numpy,
    scatter_forms,
    vjp_activations,
    vjp_attention,
    vjp_cache,
    vjp_columns,
    vjp_control,
    vjp_conv,
    vjp_deform_conv,
    vjp_elementwise,
    vjp_grid_sample,
    vjp_indexing,
    vjp_linalg,
    vjp_losses,
    vjp_norm,
    vjp_pool,
    vjp_recurrent,
    vjp_reduction,
    vjp_regions,
    vjp_resize,
    vjp_shape,
    vjp_signal,
)
from nngraph.ops.arithmetic import *
from nngraph.ops.comparison import *
from nngraph.ops.control import *
from nngraph.ops.core import *
from nngraph.ops.creation import *
from nngraph.ops.custom_gradient import custom_gradient
from nngraph.ops.dispatch import PUBLIC, is_tensor, public
from nngraph.ops.elementwise import *
from nngraph.ops.factorizations import *
from nngraph.ops.indexing import *
from nngraph.ops.keras_tensor import KerasTensor
from nngraph.ops.nn_activations import *
from nngraph.ops.nn_attention import *
from nngraph.ops.nn_conv import *
from nngraph.ops.nn_ctc import *
from nngraph.ops.nn_losses import *
from nngraph.ops.nn_misc import *
from nngraph.ops.nn_norm import *
from nngraph.ops.nn_pool import *
from nngraph.ops.numpy_more import *
from nngraph.ops.products import *
from nngraph.ops.reduction import *
from nngraph.ops.sequences import *
from nngraph.ops.shapes import *
from nngraph.ops.solvers import *
from nngraph.ops.sorting import *
from nngraph.ops.spectra import *
from nngraph.ops.statistics import *
from nngraph.ops.trace import Trace, apply, composite, current_trace
from nngraph.ops.variable import Variable
from nngraph.ops.vjp import no_gradient, raw, vjp, vjp_node
