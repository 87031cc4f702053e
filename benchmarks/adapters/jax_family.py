"""Plain JAX: one jitted step with donated state, Adam written out, weights in a dictionary."""

from __future__ import annotations

import gc
from typing import Any

import jax
import numpy as np
from jax import numpy as jnp

from benchmarks.adapters.base import LEARNING_RATE, Adapter, adam_epsilon, read_weights
from benchmarks.clock import now
from benchmarks.workloads import Workload
from benchmarks.workloads.jax_models import MODELS, STATISTICS

__all__ = ["JaxAdapter"]


class JaxAdapter(Adapter):
    """No options."""

    def versions(self) -> dict[str, str]:
        return {"jax": jax.__version__, "numpy": np.__version__}

    def build(self, workload: Workload, dropout: bool, weights: str | None) -> None:
        if weights is None:
            raise ValueError("the JAX models make no weights of their own; give a file")
        self.workload, self.forward = workload, MODELS[workload.name]
        self.dropout = dropout
        self.trained: dict[str, Any] = {}
        self.statistics: dict[str, Any] = {}
        for name, arrays in read_weights(weights).items():
            normalizer = name.endswith("_bn")
            self.trained[name] = [jnp.asarray(a) for a in (arrays[:2] if normalizer else arrays)]
            if normalizer:
                self.statistics[name] = [jnp.asarray(a) for a in arrays[STATISTICS]]
        zeros = jax.tree.map(jnp.zeros_like, self.trained)
        self.state = (self.trained, self.statistics, zeros, jax.tree.map(jnp.zeros_like, zeros), jnp.zeros((), "int32"))
        self.step = jax.jit(self._step, donate_argnums=0)
        self.logits = jax.jit(lambda trained, statistics, x: self.forward(_joined(trained, statistics), x, None)[0])

    def _loss(self, trained: Any, statistics: Any, x: Any, y: Any, key: Any) -> Any:
        logits, new = self.forward(_joined(trained, statistics), x, key)
        if self.workload.loss == "binary":
            loss = jnp.maximum(logits, 0) - logits * y + jnp.log1p(jnp.exp(-jnp.abs(logits)))
        else:
            picked = jnp.take_along_axis(logits, y[..., None], -1)[..., 0]
            loss = jax.nn.logsumexp(logits, -1) - picked
        return loss.mean(), new

    def _step(self, state: Any, x: Any, y: Any) -> Any:
        trained, statistics, m, v, count = state
        # Without dropout the key is a mark that says "training" and no number depends on it.
        key = jax.random.fold_in(jax.random.key(0), count) if self.dropout or self.statistics else None
        (loss, new), grads = jax.value_and_grad(self._loss, has_aux=True)(trained, statistics, x, y, key)
        count = count + 1
        m = jax.tree.map(lambda m, g: m + (g - m) * 0.1, m, grads)
        v = jax.tree.map(lambda v, g: v + (g * g - v) * 0.001, v, grads)
        rate = LEARNING_RATE * jnp.sqrt(1 - 0.999**count) / (1 - 0.9**count)
        trained = jax.tree.map(lambda w, m, v: w - rate * m / (jnp.sqrt(v) + adam_epsilon), trained, m, v)
        return (trained, new, m, v, count), loss

    def parameters(self) -> int:
        return sum(leaf.size for leaf in jax.tree.leaves(self.state[0]))

    def set_training_data(self, x: np.ndarray, y: np.ndarray, batch: int) -> None:
        self.batches = [
            (jnp.asarray(x[k : k + batch]), jnp.asarray(y[k : k + batch])) for k in range(0, len(x) - batch + 1, batch)
        ]

    def train(self, steps: int) -> float:
        start = now()
        for x, y in self.batches[:steps]:
            self.state, loss = self.step(self.state, x, y)
        jax.block_until_ready((self.state, loss))
        return now() - start

    def loss(self) -> float:
        self.state, loss = self.step(self.state, *self.batches[0])
        return float(loss)

    def set_inference_data(self, x: np.ndarray) -> None:
        self.x = x

    def infer(self) -> np.ndarray:
        return np.asarray(self.logits(self.state[0], self.state[1], self.x))

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return the logits of new rows."""
        return np.asarray(self.logits(self.state[0], self.state[1], x))

    def close(self) -> None:
        self.state = self.batches = self.step = self.logits = None
        jax.clear_caches()
        gc.collect()


def _joined(trained: Any, statistics: Any) -> Any:
    return {name: [*arrays, *statistics.get(name, ())] for name, arrays in trained.items()}
