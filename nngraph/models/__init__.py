"""Models: definition, training, saving."""

from nngraph.models.cloning import clone_model
from nngraph.models.functional import Functional
from nngraph.models.imported import ONNXModel, load_onnx
from nngraph.models.model import Model
from nngraph.models.saving import load_model, model_from_json, save_model
from nngraph.models.sequential import Sequential
from nngraph.saving.registry import register_builtin

__all__ = [
    "Functional",
    "Model",
    "ONNXModel",
    "Sequential",
    "clone_model",
    "load_model",
    "load_onnx",
    "model_from_json",
    "save_model",
]

for _cls in (Functional, Model, ONNXModel, Sequential):
    register_builtin(_cls, "nngraph.models")
