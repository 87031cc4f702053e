"""Callbacks: code that acts while a model trains, with the names of ``keras.callbacks``."""

from __future__ import annotations

from nngraph.callbacks.backup import BackupAndRestore
from nngraph.callbacks.base import Callback
from nngraph.callbacks.callback_list import CallbackList
from nngraph.callbacks.early_stopping import EarlyStopping
from nngraph.callbacks.ema import SwapEMAWeights
from nngraph.callbacks.history import History
from nngraph.callbacks.learning_rate import LearningRateScheduler, ReduceLROnPlateau
from nngraph.callbacks.model_checkpoint import ModelCheckpoint
from nngraph.callbacks.progbar_logger import ProgbarLogger
from nngraph.callbacks.small import CSVLogger, LambdaCallback, RemoteMonitor, TerminateOnNaN
from nngraph.callbacks.tensorboard import TensorBoard

__all__ = [
    "BackupAndRestore",
    "CSVLogger",
    "Callback",
    "CallbackList",
    "EarlyStopping",
    "History",
    "LambdaCallback",
    "LearningRateScheduler",
    "ModelCheckpoint",
    "ProgbarLogger",
    "ReduceLROnPlateau",
    "RemoteMonitor",
    "SwapEMAWeights",
    "TensorBoard",
    "TerminateOnNaN",
]
