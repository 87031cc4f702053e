"""Words that all checks share: the error, names, and numbers of bytes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from nngraph import config

__all__ = [
    "CAPS",
    "REPAIR",
    "Caps",
    "are_plain",
    "check_name",
    "check_text",
    "check_total",
    "listed",
    "readable",
    "refuse",
]

REPAIR = "the file is damaged or hostile; get it again from its source"


@dataclass(frozen=True)
class Caps:
    """How much a model may hold; far above anything that is in use.

    Attributes:
        nodes: nodes, functions inlined and subgraphs counted.
        tensors: stored tensors.
        depth: graphs inside graphs.
        rank: dimensions of one tensor.
        values: inputs or outputs of one node.
        attributes: attributes of one node.
        numbers: entries of one attribute.
        name: characters of one name.
        texts: metadata entries.
        size: a size, kernel, stride or number of parts.
    """

    nodes: int = 1_000_000
    tensors: int = 1_000_000
    depth: int = 16
    rank: int = 64
    values: int = 100_000
    attributes: int = 1_000
    numbers: int = 1 << 24
    name: int = 1 << 16
    texts: int = 100_000
    size: int = 1 << 31


CAPS = Caps()


def refuse(where: str, what: str, remedy: str = REPAIR) -> ValueError:
    """Return the error of a check."""
    return ValueError(f"{where} {what}; {remedy}")


def check_name(name: str | bytes, where: str, *, empty: bool = False) -> None:
    """Refuse a name that is empty where one is needed, endless, no UTF-8, or holds control characters.

    Raises:
        ValueError: it is.
    """
    name = check_text(name, where)
    if name.isprintable() and 0 < len(name) <= CAPS.name:
        return
    if not name and not empty:
        raise refuse(where, "has no name where one is needed")
    if len(name) > CAPS.name:
        raise refuse(where, f"has a name of {len(name)} characters, {name[:20]!r}...; {CAPS.name} are allowed")
    if any(ord(c) < 32 or 127 <= ord(c) < 160 for c in name):
        raise refuse(where, f"has control characters in the name {name[:60]!r}")


def are_plain(names: Iterable[str | bytes]) -> bool:
    """Tell at a glance that :func:`check_name` has nothing to say about names, but that one may be empty.

    Example:
        >>> are_plain(["x", ""]), are_plain(["x", "a\\n"]), are_plain(["x", b"y"])
        (True, False, False)
    """
    try:
        joined = "".join(names)  # type: ignore[arg-type]
    except TypeError:
        return False
    return joined.isprintable() and len(joined) <= CAPS.name


def check_text(text: str | bytes, where: str) -> str:
    """Refuse a text that is no UTF-8, which protobuf gives as bytes.

    Raises:
        ValueError: it is not.
    """
    if isinstance(text, bytes):
        raise refuse(where, f"is the text {text[:40]!r}, which is no UTF-8")
    return text


def check_total(bytes_: int, where: str) -> None:
    """Refuse a value that takes more memory than one may.

    Raises:
        ValueError: it does.
    """
    limit = config.max_tensor_bytes()
    if bytes_ > limit:
        raise refuse(
            where,
            f"takes {readable(bytes_)}, and {readable(limit)} are allowed for one value",
            "if the model is trusted and the machine large enough, set the environment variable NNGRAPH_MAX_TENSOR_GIB",
        )


def readable(bytes_: int) -> str:
    """Return a number of bytes in words.

    Example:
        >>> readable(3 * 2**30), readable(2**90), readable(100)
        ('3.0 GiB', '1.2e+18 GiB', '100 bytes')
    """
    if bytes_ < 1 << 20:
        return f"{bytes_} bytes"
    gib = bytes_ / (1 << 30)
    return f"{gib:.1f} GiB" if gib < 1e6 else f"{gib:.1e} GiB"


def listed(names: Iterable[str]) -> str:
    """Return a few names for a message."""
    found = [n[:60] for n in names]
    return ", ".join(map(repr, found[:5])) + (f" and {len(found) - 5} more" if len(found) > 5 else "")
