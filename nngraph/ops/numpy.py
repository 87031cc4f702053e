"""What numpy has too, under the name it has in Keras: ``ops.numpy.sum`` is ``ops.sum``."""

# ruff: noqa: F403  (this file only re-exports)
from nngraph.ops.arithmetic import *
from nngraph.ops.comparison import *
from nngraph.ops.creation import *
from nngraph.ops.elementwise import *
from nngraph.ops.factorizations import slogdet as slogdet
from nngraph.ops.indexing import get_item as get_item
from nngraph.ops.indexing import take as take
from nngraph.ops.indexing import take_along_axis as take_along_axis
from nngraph.ops.numpy_more import *
from nngraph.ops.products import *
from nngraph.ops.reduction import *
from nngraph.ops.sequences import *
from nngraph.ops.shapes import *
from nngraph.ops.sorting import *
from nngraph.ops.statistics import *
