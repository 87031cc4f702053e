"""Utilities around training, with the names of ``keras.utils``.

Each name is imported from its module when it is first used, so that nothing is loaded that is not needed.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from nngraph.errors import suggest

_MODULES = {
    "nngraph.backend": ("is_keras_tensor",),
    "nngraph.config": (
        "clear_session",
        "disable_interactive_logging",
        "enable_interactive_logging",
        "is_interactive_logging_enabled",
    ),
    "nngraph.data.packing": ("pack_x_y_sample_weight", "unpack_x_y_sample_weight"),
    "nngraph.data.py_dataset": ("PyDataset", "Sequence"),
    "nngraph.saving.registry": (
        "CustomObjectScope",
        "custom_object_scope",
        "deserialize_keras_object",
        "get_custom_objects",
        "get_registered_name",
        "get_registered_object",
        "register_keras_serializable",
        "serialize_keras_object",
    ),
    "nngraph.utils.directories": ("image_dataset_from_directory", "text_dataset_from_directory"),
    "nngraph.utils.dtypes": ("standardize_dtype",),
    "nngraph.utils.files": ("get_file",),
    "nngraph.utils.images": ("array_to_img", "img_to_array", "load_img", "save_img"),
    "nngraph.utils.numeric": ("normalize", "to_categorical"),
    "nngraph.utils.plotting": ("model_to_dot", "plot_model"),
    "nngraph.utils.progbar": ("Progbar",),
    "nngraph.utils.record": ("Config",),
    "nngraph.utils.seeds": ("set_random_seed",),
    "nngraph.utils.sequences": ("pad_sequences",),
    "nngraph.utils.split": ("split_dataset",),
    "nngraph.utils.timeseries": ("timeseries_dataset_from_array",),
}
_HOME_OF = {name: module for module, names in _MODULES.items() for name in names}

__all__ = sorted(_HOME_OF)


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        nearest = suggest(name, _HOME_OF)
        hint = f" Did you mean {nearest!r}?" if nearest else ""
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}.{hint}")
    value = getattr(import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
