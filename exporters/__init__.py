"""Exporters write what they are given; they do not optimise."""

from exporters.onnx_model import ExportReport, OnnxExporter

__all__ = ["ExportReport", "OnnxExporter"]
