"""Reuters: newswires as lists of word numbers, in 46 topics."""

from __future__ import annotations

import numpy as np

from nngraph.datasets.sources import STORAGE, fetch, read_npz, shuffled, split_point
from nngraph.datasets.words import as_objects, keep_words, mark_and_shift, read_word_index, shorter_than

__all__ = ["get_label_names", "get_word_index", "load_data"]

_HASH = "d6586e694ee56d7a4e65172e12b3e987c03096cb01eab99753921ef915959916"
_WORDS_HASH = "4d44cc38712099c9e383dc6e5f11a921"

# fmt: off
_TOPICS = (
    "cocoa", "grain", "veg-oil", "earn", "acq", "wheat", "copper", "housing", "money-supply", "coffee", "sugar",
    "trade", "reserves", "ship", "cotton", "carcass", "crude", "nat-gas", "cpi", "money-fx", "interest", "gnp",
    "meal-feed", "alum", "oilseed", "gold", "tin", "strategic-metal", "livestock", "retail", "ipi", "iron-steel",
    "rubber", "heat", "jobs", "lei", "bop", "zinc", "orange", "pet-chem", "dlr", "gas", "silver", "wpi", "hog", "lead",
)
# fmt: on

Pair = tuple[np.ndarray, np.ndarray]


def load_data(
    path: str = "reuters.npz",
    num_words: int | None = None,
    skip_top: int = 0,
    maxlen: int | None = None,
    test_split: float = 0.2,
    seed: int = 113,
    start_char: int | None = 1,
    oov_char: int | None = 2,
    index_from: int | None = 3,
) -> tuple[Pair, Pair]:
    """Return ``(x_train, y_train), (x_test, y_test)``.

    Args:
        path: the name of the file in the cache directory, ``NNGRAPH_HOME``/datasets, or an absolute path.
        num_words: keep words with smaller numbers only, that is, the most frequent ones.
        skip_top: leave out words with smaller numbers than this.
        maxlen: keep newswires with fewer words only.
        test_split: the fraction of the newswires for testing.
        seed: the seed of the order of the newswires.
        start_char: the number put before each newswire, or None.
        oov_char: the number for words that are left out, or None to drop them.
        index_from: added to every word number, so that the smaller ones are free for special use.

    Returns:
        Newswires as arrays of lists, of shape (n,), for ``nngraph.utils.pad_sequences``; topics as int64.

    Raises:
        FileNotFoundError: the file is not there and cannot be downloaded; the message says where to put it.
        ValueError: no newswire is shorter than ``maxlen``, or ``test_split`` is out of range.

    Source: the Reuters-21578 collection.
    """
    split_point(1, test_split)
    x, y = shuffled(seed, *read_npz(fetch(path, STORAGE + "reuters.npz", _HASH), "x", "y"))
    texts, labels = shorter_than(maxlen, mark_and_shift(x, start_char, index_from), y)
    words = as_objects(keep_words(texts, num_words, skip_top, oov_char))
    split = split_point(len(words), test_split)
    return (words[:split], labels[:split]), (words[split:], labels[split:])


def get_word_index(path: str = "reuters_word_index.json") -> dict[str, int]:
    """Return the number of each word, to which ``load_data`` adds ``index_from``."""
    return read_word_index(path, STORAGE + "reuters_word_index.json", _WORDS_HASH)


def get_label_names() -> tuple[str, ...]:
    """Return the topics, in the order of their numbers.

    >>> get_label_names()[3]
    'earn'
    """
    return _TOPICS
