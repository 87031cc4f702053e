"""Helpers that build error messages of one style: what came, what was expected, what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ["missing_extra", "suggest", "unknown_name"]

# A message stays readable with about this many names; beyond it, only near ones help.
_MAX_LISTED = 30


def suggest(name: object, options: Iterable[str]) -> str | None:
    """Return the option nearest to ``name``, or None when nothing is near.

    Upper and lower case, underscores and hyphens do not count as differences.

    Example:

    >>> suggest("adamm", ["sgd", "adam", "adamw"])
    'adam'
    >>> suggest("Leaky-ReLU", ["relu", "leaky_relu"])
    'leaky_relu'
    >>> suggest("he_norml", ["HeNormal", "he_normal"])
    'he_normal'
    >>> suggest("zzz", ["sgd", "adam"]) is None
    True
    """
    if not isinstance(name, str):
        return None
    folded: dict[str, list[str]] = {}
    for option in options:
        folded.setdefault(_fold(option), []).append(option)
    near = difflib.get_close_matches(_fold(name), list(folded), n=1, cutoff=0.6)
    if not near:
        return None
    # Of several spellings of one name, the one most like what was typed.
    return max(folded[near[0]], key=lambda option: difflib.SequenceMatcher(None, name, option).ratio())


def unknown_name(kind: str, name: object, options: Iterable[str]) -> ValueError:
    """Build the error for a string that names no known ``kind`` of thing.

    The caller raises it: ``raise unknown_name("optimizer", name, table)``.

    Example:

    >>> print(unknown_name("optimizer", "adamm", ["sgd", "adam"]))
    Unknown optimizer 'adamm'. Did you mean 'adam'? Known names: 'adam', 'sgd'.
    """
    names = sorted(set(options))
    nearest = suggest(name, names)
    parts = [f"Unknown {kind} {name!r}."]
    if nearest is not None:
        parts.append(f"Did you mean {nearest!r}?")
    if not names:
        parts.append("There are no known names.")
    elif len(names) <= _MAX_LISTED:
        parts.append(f"Known names: {', '.join(map(repr, names))}.")
    else:
        listed = names if nearest is None else difflib.get_close_matches(nearest, names, n=8, cutoff=0.0)
        parts.append(f"{len(names)} names are known, among them: {', '.join(map(repr, listed[:8]))}.")
    return ValueError(" ".join(parts))


def missing_extra(package: str, extra: str, *alternatives: str, purpose: str | None = None) -> ImportError:
    """Build the error for an optional package that is not installed.

    ``extra`` is the name of the nngraph extra that brings the package; ``alternatives`` are other extras that bring it
    too; ``purpose`` says what needs it.

    Example:

    >>> print(missing_extra("PIL", "image", purpose="load_img"))
    load_img needs the package 'PIL', which is not installed. Install it with: pip install "nngraph[image]"
    >>> print(missing_extra("onnxruntime", "cpu", "cuda"))  # doctest: +ELLIPSIS
    The package 'onnxruntime' is not installed. Install it with: pip install "nngraph[cpu]" or pip install ...
    """
    commands = " or ".join(f'pip install "nngraph[{name}]"' for name in (extra, *alternatives))
    if purpose is None:
        what = f"The package {package!r} is not installed."
    else:
        what = f"{purpose} needs the package {package!r}, which is not installed."
    return ImportError(f"{what} Install it with: {commands}", name=package)


def _fold(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "").replace(" ", "")
