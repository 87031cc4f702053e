"""Exporters write what they are given; they do not optimise."""

from exporters.onnx_model import ExportReport, OnnxExporter
from exporters.onnx_training import (
    Hyperparameter,
    StepInput,
    StepState,
    TrainingExporter,
    TrainingReport,
    TrainingStep,
)

__all__ = [
    "ExportReport",
    "Hyperparameter",
    "OnnxExporter",
    "StepInput",
    "StepState",
    "TrainingExporter",
    "TrainingReport",
    "TrainingStep",
]
