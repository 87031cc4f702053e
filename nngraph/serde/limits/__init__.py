"""What a model file may ask for, judged before any native code sees it.

Everything here is plain Python over the parsed protobuf, and nothing is allocated: a file of 100 bytes can ask for a
terabyte, divide by zero inside a runtime, or name itself as its own part. One error says which node or tensor asks for
what, what is allowed, and what to do.
"""

from nngraph.serde.limits.model import check_limits
from nngraph.serde.limits.sizes import check_sizes
from nngraph.serde.limits.tensors import check_tensor, stored_bytes

__all__ = ["check_limits", "check_sizes", "check_tensor", "stored_bytes"]
