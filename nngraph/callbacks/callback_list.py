"""``CallbackList``: several callbacks called as one, at no cost for hooks that nobody defines."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nngraph import tree
from nngraph.callbacks.base import Callback, Logs
from nngraph.callbacks.history import History
from nngraph.callbacks.progbar_logger import ProgbarLogger

__all__ = ["CallbackList"]

_BATCH_HOOKS = tuple(
    f"on_{mode}_batch_{moment}" for mode in ("train", "test", "predict") for moment in ("begin", "end")
)
# The default on_train_batch_* only forward to these, so a callback that has neither is left out.
_FORWARDED = {"on_train_batch_begin": "on_batch_begin", "on_train_batch_end": "on_batch_end"}

Hook = Callable[..., None]


class CallbackList(Callback):
    """Calls each hook of several callbacks, in order.

    Which callbacks define a batch hook is found out once, when ``fit``, ``evaluate`` or ``predict`` begins; only those
    are called at each batch, and ``logs`` is handed to them as it is, neither copied nor read.

    Args:
        callbacks: a callback, or callbacks nested in lists.
        add_history: whether to append a ``History`` when there is none.
        add_progbar: whether to append a ``ProgbarLogger`` when there is none.
        model: the model to set on each of them.
        **params: what to set as ``params`` on each of them: verbose, epochs, steps.

    Raises:
        TypeError: an item is no ``Callback``.

    >>> callbacks = CallbackList([], add_history=True, epochs=1)
    >>> callbacks.on_epoch_end(0, {"loss": 0.5})
    >>> callbacks.history.history
    {'loss': [0.5]}
    """

    def __init__(
        self,
        callbacks: Any = None,
        add_history: bool = False,
        add_progbar: bool = False,
        model: Any = None,
        **params: Any,
    ) -> None:
        super().__init__()
        self.callbacks: list[Callback] = [] if callbacks is None else list(tree.flatten(callbacks))
        for callback in self.callbacks:
            _check(callback)
        self._batch_hooks: dict[str, list[Hook]] = {}
        self._add_defaults(add_history, add_progbar)
        self._collect_batch_hooks()
        if model is not None:
            self.set_model(model)
        if params:
            self.set_params(params)

    @property
    def history(self) -> History | None:
        """The first ``History`` among the callbacks."""
        return next((callback for callback in self.callbacks if isinstance(callback, History)), None)

    def has_batch_hooks(self, mode: str) -> bool:
        """Return whether any callback wants to hear of single batches of "train", "test" or "predict"."""
        return bool(self._batch_hooks[f"on_{mode}_batch_begin"] or self._batch_hooks[f"on_{mode}_batch_end"])

    def append(self, callback: Callback) -> None:
        """Add a callback at the end."""
        _check(callback)
        self.callbacks.append(callback)
        self._collect_batch_hooks()

    def set_params(self, params: dict[str, Any]) -> None:
        """Set ``params`` on each callback."""
        self.params = params
        for callback in self.callbacks:
            callback.set_params(params)

    def set_model(self, model: Any) -> None:
        """Set the model on each callback, and the history on the model."""
        super().set_model(model)
        history = self.history
        if history is not None:
            model.history = history
        for callback in self.callbacks:
            callback.set_model(model)

    def on_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Older name of ``on_train_batch_begin``."""
        self.on_train_batch_begin(batch, logs)

    def on_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Older name of ``on_train_batch_end``."""
        self.on_train_batch_end(batch, logs)

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Call the hook of each callback."""
        for callback in self.callbacks:
            callback.on_epoch_begin(epoch, logs)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Call the hook of each callback; one may add to ``logs`` for those after it."""
        for callback in self.callbacks:
            callback.on_epoch_end(epoch, logs)

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Call the hook of each callback that defines it."""
        for hook in self._batch_hooks["on_train_batch_begin"]:
            hook(batch, logs)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Call the hook of each callback that defines it."""
        for hook in self._batch_hooks["on_train_batch_end"]:
            hook(batch, logs)

    def on_test_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Call the hook of each callback that defines it."""
        for hook in self._batch_hooks["on_test_batch_begin"]:
            hook(batch, logs)

    def on_test_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Call the hook of each callback that defines it."""
        for hook in self._batch_hooks["on_test_batch_end"]:
            hook(batch, logs)

    def on_predict_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Call the hook of each callback that defines it."""
        for hook in self._batch_hooks["on_predict_batch_begin"]:
            hook(batch, logs)

    def on_predict_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Call the hook of each callback that defines it."""
        for hook in self._batch_hooks["on_predict_batch_end"]:
            hook(batch, logs)

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Call the hook of each callback."""
        self._collect_batch_hooks()
        for callback in self.callbacks:
            callback.on_train_begin(logs)

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Call the hook of each callback."""
        for callback in self.callbacks:
            callback.on_train_end(logs)

    def on_test_begin(self, logs: Logs | None = None) -> None:
        """Call the hook of each callback."""
        self._collect_batch_hooks()
        for callback in self.callbacks:
            callback.on_test_begin(logs)

    def on_test_end(self, logs: Logs | None = None) -> None:
        """Call the hook of each callback."""
        for callback in self.callbacks:
            callback.on_test_end(logs)

    def on_predict_begin(self, logs: Logs | None = None) -> None:
        """Call the hook of each callback."""
        self._collect_batch_hooks()
        for callback in self.callbacks:
            callback.on_predict_begin(logs)

    def on_predict_end(self, logs: Logs | None = None) -> None:
        """Call the hook of each callback."""
        for callback in self.callbacks:
            callback.on_predict_end(logs)

    def _add_defaults(self, add_history: bool, add_progbar: bool) -> None:
        # The bar comes before the history, so that user callbacks may still add to the logs it shows.
        if add_progbar and not any(isinstance(callback, ProgbarLogger) for callback in self.callbacks):
            self.callbacks.append(ProgbarLogger())
        if add_history and self.history is None:
            self.callbacks.append(History())

    def _collect_batch_hooks(self) -> None:
        self._batch_hooks = {
            name: [getattr(callback, name) for callback in self.callbacks if _defines(callback, name)]
            for name in _BATCH_HOOKS
        }


def _defines(callback: Callback, name: str) -> bool:
    """Return whether a callback has a hook of its own, from its class or set on the object."""
    names = (name, _FORWARDED[name]) if name in _FORWARDED else (name,)
    for own in names:
        hook = getattr(callback, own)
        if getattr(hook, "__func__", hook) is not getattr(Callback, own):
            return True
    return False


def _check(callback: Any) -> None:
    if isinstance(callback, type) and issubclass(callback, Callback):
        raise TypeError(f"callbacks holds the class {callback.__name__}. Give an object: {callback.__name__}().")
    if not isinstance(callback, Callback):
        raise TypeError(
            f"callbacks must be nngraph.callbacks.Callback objects. Received: {callback!r} of type "
            f"{type(callback).__name__}."
        )
