"""IMDB: film reviews as lists of word numbers, positive or negative."""

from __future__ import annotations

from typing import Any

import numpy as np

from nngraph.datasets.sources import STORAGE, fetch, read_npz
from nngraph.datasets.words import as_objects, keep_words, mark_and_shift, read_word_index, shorter_than

__all__ = ["get_word_index", "load_data"]

_HASH = "69664113be75683a8fe16e3ed0ab59fda8886cb3cd7ada244f7d9544e4676b9f"
_WORDS_HASH = "bfafd718b763782e994055a2d397834f"

Pair = tuple[np.ndarray, np.ndarray]


def load_data(
    path: str = "imdb.npz",
    num_words: int | None = None,
    skip_top: int = 0,
    maxlen: int | None = None,
    seed: int = 113,
    start_char: int | None = 1,
    oov_char: int | None = 2,
    index_from: int | None = 3,
    **kwargs: Any,
) -> tuple[Pair, Pair]:
    """Return ``(x_train, y_train), (x_test, y_test)``.

    Args:
        path: the name of the file in the cache directory, ``NNGRAPH_HOME``/datasets, or an absolute path.
        num_words: keep words with smaller numbers only, that is, the most frequent ones.
        skip_top: leave out words with smaller numbers than this.
        maxlen: keep reviews with fewer words only.
        seed: the seed of the order of the reviews.
        start_char: the number put before each review, or None.
        oov_char: the number for words that are left out, or None to drop them.
        index_from: added to every word number, so that the smaller ones are free for special use.

    Returns:
        Reviews as arrays of lists, of shape (25000,), for ``nngraph.utils.pad_sequences``; labels, 0 or 1, as int64.

    Raises:
        FileNotFoundError: the file is not there and cannot be downloaded; the message says where to put it.
        ValueError: no review is shorter than ``maxlen``.

    Source: Maas et al., "Learning word vectors for sentiment analysis", 2011.
    """
    # Older code calls num_words nb_words.
    num_words = kwargs.pop("nb_words", num_words)
    if kwargs:
        raise TypeError(f"imdb.load_data has no argument {next(iter(kwargs))!r}.")
    arrays = read_npz(fetch(path, STORAGE + "imdb.npz", _HASH), "x_train", "y_train", "x_test", "y_test")
    # One generator for both parts, as in Keras, so that the order agrees.
    rng = np.random.RandomState(seed)
    parts = []
    for x, y in (arrays[:2], arrays[2:]):
        order = np.arange(len(x))
        rng.shuffle(order)
        parts.append(shorter_than(maxlen, mark_and_shift(x[order], start_char, index_from), y[order]))
    (train, y_train), (test, y_test) = parts
    texts = as_objects(keep_words(train + test, num_words, skip_top, oov_char))
    return (texts[: len(train)], y_train), (texts[len(train) :], y_test)


def get_word_index(path: str = "imdb_word_index.json") -> dict[str, int]:
    """Return the number of each word, to which ``load_data`` adds ``index_from``."""
    return read_word_index(path, STORAGE + "imdb_word_index.json", _WORDS_HASH)
