"""Process-wide settings: the names of ``keras.config``, and every ``NNGRAPH_*`` environment variable in one table.

Only the standard library is imported here, so that every layer of the project may read it.

Keras-style settings are functions (``floatx()``, ``set_floatx()`` ...). Environment settings are the rows of
``SETTINGS``; each is read when somebody asks (never at import), and code may override it:

>>> import nngraph.config as config
>>> with config.override(debug=2):
...     config.setting("debug")
2
"""

from __future__ import annotations

import gc
import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nngraph.errors import unknown_name

__all__ = [
    "SETTINGS",
    "DTypePolicy",
    "Setting",
    "backend",
    "clear_session",
    "cuda_conv_search",
    "cuda_graphs",
    "cuda_memory_bytes",
    "cuda_nhwc",
    "cuda_tf32",
    "cuda_unroll",
    "debug",
    "describe_settings",
    "device",
    "device_data_bytes",
    "disable_interactive_logging",
    "disable_traceback_filtering",
    "draw_seed",
    "dtype_policy",
    "dump",
    "enable_interactive_logging",
    "epsilon",
    "floatx",
    "global_seed",
    "home",
    "image_data_format",
    "is_interactive_logging_enabled",
    "is_traceback_filtering_enabled",
    "max_epochs",
    "max_steps_per_epoch",
    "max_tensor_bytes",
    "on_clear_session",
    "override",
    "prefetch",
    "reset_setting",
    "set_backend",
    "set_dtype_policy",
    "set_epsilon",
    "set_floatx",
    "set_global_seed",
    "set_image_data_format",
    "set_max_epochs",
    "set_max_steps_per_epoch",
    "set_setting",
    "setting",
    "threads",
    "verify",
]

FLOAT_DTYPES = ("float16", "float32", "float64", "bfloat16")
PLAIN_DTYPES = (
    *FLOAT_DTYPES,
    "bool",
    "string",
    *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)),
    "complex64",
    "complex128",
)
DATA_FORMATS = ("channels_last", "channels_first")


# --------------------------------------------------------------------------- environment settings


def _parse_path(text: str) -> Path:
    return Path(text).expanduser()


def _parse_level(text: str) -> int:
    if text.strip() not in {"0", "1", "2", "3", "4"}:
        raise ValueError("expected an integer from 0 to 4")
    return int(text)


def _parse_count(text: str) -> int:
    if not text.strip().isdigit():
        raise ValueError("expected a whole number")
    return int(text)


def _parse_gib(text: str) -> float:
    value = float(text)
    if not 0 < value < 2**30:
        raise ValueError("expected a number of GiB above 0")
    return value


def _parse_bool(text: str) -> bool:
    value = text.strip().lower()
    if value in {"1", "true", "yes", "on"}:
        return True
    if value in {"0", "false", "no", "off"}:
        return False
    raise ValueError("expected 0 or 1")


def _parse_size(text: str) -> float:
    value = float(text)
    if not 0 <= value < 2**30:
        raise ValueError("expected a number of GiB, 0 or more")
    return value


def _parse_search(text: str) -> str:
    value = text.strip().lower()
    if value not in {"exhaustive", "heuristic", "default"}:
        raise ValueError("expected exhaustive, heuristic or default")
    return value


def _parse_device(text: str) -> str:
    value = text.strip().lower()
    if value not in {"auto", "cpu", "cuda"}:
        raise ValueError("expected auto, cpu or cuda")
    return value


@dataclass(frozen=True)
class Setting:
    """One row of the table of environment settings.

    Attributes:
        name: the name for ``setting``, ``set_setting`` and ``override``.
        variable: the environment variable.
        default: the value, in text form, when the variable is unset or empty; None means "no value".
        parse: turns the text into the typed value, or raises ValueError saying what was expected.
        doc: one sentence for people.
    """

    name: str
    variable: str
    default: str | None
    parse: Callable[[str], Any]
    doc: str


SETTINGS: dict[str, Setting] = {
    setting.name: setting
    for setting in (
        Setting("home", "NNGRAPH_HOME", "~/.nngraph", _parse_path, "Directory of downloaded data sets."),
        Setting(
            "debug",
            "NNGRAPH_DEBUG",
            "0",
            _parse_level,
            "What the compiler prints: 0 nothing, 1 pipeline summary, 2 rule hits, 3 graph texts, 4 near misses.",
        ),
        Setting("verify", "NNGRAPH_VERIFY", "0", _parse_bool, "Verify the graph between passes (slow)."),
        Setting("device", "NNGRAPH_DEVICE", "auto", _parse_device, "Where models run: auto, cpu or cuda."),
        Setting("threads", "NNGRAPH_THREADS", "0", _parse_count, "Threads of one operator; 0 is one for each core."),
        Setting(
            "prefetch",
            "NNGRAPH_PREFETCH",
            "0",
            _parse_count,
            "Batches of a generator or another iterable that a thread takes ahead of the steps; 0 is no thread.",
        ),
        Setting("dump", "NNGRAPH_DUMP", None, _parse_path, "Directory that receives each graph as it is compiled."),
        Setting(
            "max_tensor_gib",
            "NNGRAPH_MAX_TENSOR_GIB",
            "64",
            _parse_gib,
            "Imported models in which one value takes more memory than this are refused.",
        ),
        Setting(
            "cuda_tf32", "NNGRAPH_CUDA_TF32", "0", _parse_bool, "Multiply float32 on a GPU with 10 bits of mantissa."
        ),
        Setting("cuda_nhwc", "NNGRAPH_CUDA_NHWC", "0", _parse_bool, "Let the GPU's provider convolve in NHWC."),
        Setting(
            "cuda_graphs",
            "NNGRAPH_CUDA_GRAPHS",
            "1",
            _parse_bool,
            "Capture steps as CUDA graphs where every node runs on the GPU.",
        ),
        Setting(
            "cuda_unroll",
            "NNGRAPH_CUDA_UNROLL",
            "0",
            _parse_count,
            "Loops of at most so many steps are written out, so that a step with them can be captured.",
        ),
        Setting(
            "cuda_conv_search",
            "NNGRAPH_CUDA_CONV_SEARCH",
            "exhaustive",
            _parse_search,
            "How cuDNN's convolutions are chosen: exhaustive, heuristic or default.",
        ),
        Setting(
            "cuda_memory_gib",
            "NNGRAPH_CUDA_MEMORY_GIB",
            "0",
            _parse_size,
            "Memory for a session on a GPU; 0 is no limit.",
        ),
        Setting(
            "device_data_gib",
            "NNGRAPH_DEVICE_DATA_GIB",
            "4",
            _parse_size,
            "Arrays given to fit, and those to evaluate, lie on the GPU if they take no more memory than this.",
        ),
    )
}

_overrides: dict[str, Any] = {}


def setting(name: str) -> Any:
    """Return the value of an environment setting: what was set in code, else the variable, else its default.

    Raises ValueError for an unknown name, or naming the variable when its text is malformed.
    """
    setting = _setting(name)
    if name in _overrides:
        return _overrides[name]
    text = os.environ.get(setting.variable) or setting.default
    if text is None:
        return None
    return _parse(setting, text, f"environment variable {setting.variable}")


def set_setting(name: str, value: Any) -> None:
    """Override an environment setting for this process; ``reset_setting(name)`` undoes it.

    ``value`` may be the typed value or its text form; None means "no value" where the setting allows it.
    """
    setting = _setting(name)
    if value is None:
        if setting.default is not None:
            raise ValueError(
                f"Setting {name!r} needs a value; use nngraph.config.reset_setting({name!r}) for its default."
            )
        _overrides[name] = None
        return
    _overrides[name] = _parse(setting, str(value), f"setting {name!r}")


def reset_setting(name: str | None = None) -> None:
    """Forget what ``set_setting`` did to one setting, or to all of them."""
    if name is None:
        _overrides.clear()
        return
    _overrides.pop(_setting(name).name, None)


@contextmanager
def override(**values: Any) -> Iterator[None]:
    """Override environment settings inside a ``with`` block."""
    before = dict(_overrides)
    try:
        for name, value in values.items():
            set_setting(name, value)
        yield
    finally:
        _overrides.clear()
        _overrides.update(before)


def describe_settings() -> str:
    """Return the table of environment settings, with defaults, as plain text.

    >>> describe_settings().splitlines()[0].split()
    ['variable', 'default', 'meaning']
    """
    rows = [("variable", "default", "meaning")]
    rows += [(setting.variable, setting.default or "(none)", setting.doc) for setting in SETTINGS.values()]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    return "\n".join(f"{row[0]:<{widths[0]}}  {row[1]:<{widths[1]}}  {row[2]}" for row in rows)


def home() -> Path:
    """Return the cache directory (``NNGRAPH_HOME``); it may not exist yet."""
    return setting("home")


def debug() -> int:
    """Return the debug level, 0 to 4 (``NNGRAPH_DEBUG``)."""
    return setting("debug")


def verify() -> bool:
    """Return whether graphs are verified between passes (``NNGRAPH_VERIFY``)."""
    return setting("verify")


def device() -> str:
    """Return the wanted device, "auto", "cpu" or "cuda" (``NNGRAPH_DEVICE``)."""
    return setting("device")


def threads() -> int:
    """Return how many threads work on one operator, 0 for one on each core (``NNGRAPH_THREADS``)."""
    return setting("threads")


def prefetch() -> int:
    """Return how many batches of a generator a thread takes ahead of the steps (``NNGRAPH_PREFETCH``)."""
    return setting("prefetch")


def dump() -> Path | None:
    """Return the directory for graph dumps, or None (``NNGRAPH_DUMP``)."""
    return setting("dump")


def max_tensor_bytes() -> int:
    """Return how many bytes one value of an imported model may take (``NNGRAPH_MAX_TENSOR_GIB``)."""
    return int(setting("max_tensor_gib") * 2**30)


def cuda_tf32() -> bool:
    """Return whether a GPU may round what it multiplies to TensorFloat-32 (``NNGRAPH_CUDA_TF32``)."""
    return setting("cuda_tf32")


def cuda_nhwc() -> bool:
    """Return whether the GPU's provider convolves in its NHWC layout (``NNGRAPH_CUDA_NHWC``)."""
    return setting("cuda_nhwc")


def cuda_graphs() -> bool:
    """Return whether steps are captured as CUDA graphs where that is possible (``NNGRAPH_CUDA_GRAPHS``)."""
    return setting("cuda_graphs")


def cuda_unroll() -> int:
    """Return the most steps of a loop that is written out to be captured (``NNGRAPH_CUDA_UNROLL``)."""
    return setting("cuda_unroll")


def cuda_conv_search() -> str:
    """Return how cuDNN's convolutions are chosen (``NNGRAPH_CUDA_CONV_SEARCH``)."""
    return setting("cuda_conv_search")


def cuda_memory_bytes() -> int:
    """Return how much memory a session on a GPU may take, 0 for no limit (``NNGRAPH_CUDA_MEMORY_GIB``)."""
    return int(setting("cuda_memory_gib") * 2**30)


def device_data_bytes() -> int:
    """Return up to which size the arrays of ``fit`` or ``evaluate`` lie on the GPU (``NNGRAPH_DEVICE_DATA_GIB``)."""
    return int(setting("device_data_gib") * 2**30)


def _setting(name: str) -> Setting:
    if name not in SETTINGS:
        raise unknown_name("setting", name, SETTINGS)
    return SETTINGS[name]


def _parse(setting: Setting, text: str, where: str) -> Any:
    try:
        return setting.parse(text)
    except ValueError as error:
        raise ValueError(f"Bad value {text!r} for {where}: {error}.") from None


# --------------------------------------------------------------------------- keras.config

_floatx = "float32"
_epsilon = 1e-7
_image_data_format = "channels_last"
_interactive_logging = True
_max_epochs: int | None = None
_max_steps_per_epoch: int | None = None
_dtype_policy: DTypePolicy | None = None
_global_seed: int | None = None
_seed_stream = random.Random()
_session_callbacks: list[Callable[[], None]] = []


@dataclass(frozen=True)
class DTypePolicy:
    """Which dtype a layer computes in and which one its variables have; here always the same.

    Raises TypeError when ``name`` is no string, ValueError for an unknown dtype and for mixed or quantized policies.

    >>> DTypePolicy("float64").compute_dtype
    'float64'
    """

    name: str

    def __post_init__(self) -> None:
        if not isinstance(self.name, str):
            raise TypeError(f"A dtype policy is named by a string such as 'float32'. Received: {self.name!r}")
        if self.name.startswith("mixed_") or "_from_" in self.name:
            raise ValueError(
                f"DType policy {self.name!r} is not supported: layers compute and store in one dtype. "
                "Use a plain dtype such as 'float32', 'float16', 'bfloat16' or 'float64'."
            )
        if self.name not in PLAIN_DTYPES:
            raise unknown_name("dtype policy", self.name, PLAIN_DTYPES)

    @property
    def compute_dtype(self) -> str:
        """The dtype of computations."""
        return self.name

    @property
    def variable_dtype(self) -> str:
        """The dtype of variables."""
        return self.name

    def get_config(self) -> dict[str, Any]:
        """Return ``{"name": ...}``, which ``from_config`` accepts."""
        return {"name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> DTypePolicy:
        """Build the policy that ``get_config`` described."""
        return cls(**config)

    def __repr__(self) -> str:
        return f'<DTypePolicy "{self.name}">'


def dtype_policy() -> DTypePolicy:
    """Return the policy of layers that are given no dtype: the one set, else the one of ``floatx()``."""
    return _dtype_policy if _dtype_policy is not None else DTypePolicy(_floatx)


def set_dtype_policy(policy: str | DTypePolicy | None) -> None:
    """Set the policy of layers made from now on; None goes back to ``floatx()``."""
    global _dtype_policy
    _dtype_policy = DTypePolicy(policy) if policy is not None and not isinstance(policy, DTypePolicy) else policy


def floatx() -> str:
    """Return the default float dtype, "float32" unless it was changed."""
    return _floatx


def set_floatx(value: str) -> None:
    """Set the default float dtype: "float16", "bfloat16", "float32" or "float64"."""
    global _floatx
    if value not in FLOAT_DTYPES:
        raise unknown_name("floatx", value, FLOAT_DTYPES)
    _floatx = value


def epsilon() -> float:
    """Return the small number that keeps logarithms and divisions away from zero, 1e-7 unless it was changed."""
    return _epsilon


def set_epsilon(value: float) -> None:
    """Set the value of ``epsilon()``; it must be a positive number."""
    global _epsilon
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise TypeError(f"epsilon must be a number. Received: {value!r}") from None
    if not number > 0:
        raise ValueError(f"epsilon must be positive. Received: {value!r}")
    _epsilon = number


def image_data_format() -> str:
    """Return "channels_last" (the default) or "channels_first"."""
    return _image_data_format


def set_image_data_format(data_format: str) -> None:
    """Set where layers expect the channel axis of images."""
    global _image_data_format
    folded = str(data_format).lower()
    if folded not in DATA_FORMATS:
        raise unknown_name("data_format", data_format, DATA_FORMATS)
    _image_data_format = folded


def enable_interactive_logging() -> None:
    """Write progress as bars to standard output (the default)."""
    global _interactive_logging
    _interactive_logging = True


def disable_interactive_logging() -> None:
    """Send progress to the ``logging`` module instead of drawing bars."""
    global _interactive_logging
    _interactive_logging = False


def is_interactive_logging_enabled() -> bool:
    """Return whether progress is drawn as bars."""
    return _interactive_logging


def is_traceback_filtering_enabled() -> bool:
    """Return False: tracebacks are always complete."""
    return False


def disable_traceback_filtering() -> None:
    """Accepted for Keras code; there is nothing to disable, because tracebacks are always complete."""


def max_epochs() -> int | None:
    """Return the limit on epochs for every ``fit``, or None."""
    return _max_epochs


def set_max_epochs(max_epochs: int | None) -> None:
    """Limit the epochs of every ``fit`` (for smoke tests); None lifts the limit."""
    global _max_epochs
    _max_epochs = _optional_count("max_epochs", max_epochs)


def max_steps_per_epoch() -> int | None:
    """Return the limit on steps in an epoch for ``fit``, ``evaluate`` and ``predict``, or None."""
    return _max_steps_per_epoch


def set_max_steps_per_epoch(max_steps_per_epoch: int | None) -> None:
    """Limit the steps in each epoch (for smoke tests); None lifts the limit."""
    global _max_steps_per_epoch
    _max_steps_per_epoch = _optional_count("max_steps_per_epoch", max_steps_per_epoch)


def global_seed() -> int | None:
    """Return the seed given to ``nngraph.utils.set_random_seed``, or None."""
    return _global_seed


def set_global_seed(seed: int | None) -> None:
    """Store the seed from which unseeded initializers, dropout and shuffling derive theirs; None forgets it."""
    global _global_seed, _seed_stream
    if seed is not None and (isinstance(seed, bool) or not isinstance(seed, int) or seed < 0):
        raise ValueError(f"The global seed must be an integer >= 0 or None. Received: {seed!r}")
    _global_seed = seed
    _seed_stream = random.Random(seed)


def draw_seed() -> int:
    """Return a seed for something that was given none: the next one derived from the global seed, else a fresh one.

    After `set_global_seed(n)` the same sequence of calls returns the same seeds, each from 1 to 2**31 - 1.

    >>> set_global_seed(7)
    >>> first = draw_seed()
    >>> set_global_seed(7)
    >>> draw_seed() == first
    True
    >>> set_global_seed(None)
    """
    return _seed_stream.randint(1, 2**31 - 1)


def on_clear_session(callback: Callable[[], None]) -> Callable[[], None]:
    """Register a function that ``clear_session`` calls (name counters, caches); returns it, so it is a decorator."""
    _session_callbacks.append(callback)
    return callback


def clear_session(free_memory: bool = True) -> None:
    """Forget global state: the dtype policy set, automatic names, and what modules registered.

    The seed, ``floatx`` and ``epsilon`` stay. ``free_memory`` also runs the garbage collector.
    """
    set_dtype_policy(None)
    for callback in _session_callbacks:
        callback()
    if free_memory:
        gc.collect()


def backend() -> str:
    """Return "onnxruntime": there is only this one."""
    return "onnxruntime"


def set_backend(backend: str) -> None:
    """Accept "onnxruntime", the only backend; anything else is a ValueError."""
    if backend != "onnxruntime":
        raise ValueError(f"nngraph runs on 'onnxruntime' only; it has no backend {backend!r}.")


def _optional_count(name: str, value: int | None) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{name} must be an integer >= 1 or None. Received: {value!r}")
    return value
