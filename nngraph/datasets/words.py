"""What IMDB and Reuters share: texts as lists of word numbers, rarer words having larger numbers."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

import numpy as np

from nngraph.datasets.sources import fetch

__all__ = ["as_objects", "keep_words", "mark_and_shift", "read_word_index", "shorter_than"]


def mark_and_shift(texts: Iterable[list[int]], start_char: int | None, index_from: int | None) -> list[list[int]]:
    """Add ``index_from`` to every word number and put ``start_char`` before each text; None does neither.

    >>> mark_and_shift([[1, 2]], start_char=1, index_from=3)
    [[1, 4, 5]]
    """
    # As Keras, which shifts by None only where there is no start_char.
    shift = index_from or 0
    start = [] if start_char is None else [start_char]
    return [start + [word + shift for word in text] for text in texts]


def shorter_than(maxlen: int | None, texts: list[list[int]], labels: np.ndarray) -> tuple[list[list[int]], np.ndarray]:
    """Return the texts with fewer than ``maxlen`` words, and their labels."""
    if not maxlen:
        return texts, labels
    kept = [index for index, text in enumerate(texts) if len(text) < maxlen]
    if not kept:
        raise ValueError(f"No text is shorter than maxlen={maxlen}. Give a larger maxlen.")
    return [texts[index] for index in kept], labels[kept]


def keep_words(texts: list[list[int]], num_words: int | None, skip_top: int, oov_char: int | None) -> list[list[int]]:
    """Replace words outside ``skip_top <= word < num_words`` by ``oov_char``, or drop them where that is None.

    Without ``num_words`` the limit is the largest number that occurs, so that this one word is replaced, too: so does
    Keras, and the numbers must agree.
    """
    limit = num_words or max((max(text, default=0) for text in texts), default=0)
    if oov_char is None:
        return [[word for word in text if skip_top <= word < limit] for text in texts]
    return [[word if skip_top <= word < limit else oov_char for word in text] for text in texts]


def as_objects(texts: Sequence[list[int]]) -> np.ndarray:
    """Return texts as an array of lists, of shape (n,) even when all are equally long."""
    array = np.empty(len(texts), object)
    array[:] = texts
    return array


def read_word_index(path: str, url: str, file_hash: str) -> dict[str, int]:
    """Return the number of each word."""
    return json.loads(fetch(path, url, file_hash).read_text(encoding="utf-8"))
