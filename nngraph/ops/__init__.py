"""Operations: named as in ``keras.ops``, recorded on symbolic tensors and run at once on arrays."""

from nngraph.ops import vjp_elementwise
from nngraph.ops.core import *  # noqa: F403
from nngraph.ops.dispatch import PUBLIC, is_tensor, public
from nngraph.ops.elementwise import *  # noqa: F403
from nngraph.ops.keras_tensor import KerasTensor
from nngraph.ops.trace import Trace, apply, composite, current_trace
from nngraph.ops.variable import Variable
from nngraph.ops.vjp import no_gradient, raw, vjp, vjp_node
