"""The gradient pass under its former module name."""

from passes.autodiff import append_gradients, gradients

__all__ = ["append_gradients", "gradients"]
