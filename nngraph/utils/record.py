"""``Config``: a dict whose entries are attributes too."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from nngraph.errors import suggest

__all__ = ["Config"]


class Config:
    """A record of named values, which can be frozen against changes.

    >>> config = Config(width=8)
    >>> config.depth = 2
    >>> config["width"] * config.depth
    16
    >>> config.freeze().frozen
    True
    """

    _entries: dict[str, Any]
    _frozen: bool

    def __init__(self, **kwargs: Any) -> None:
        object.__setattr__(self, "_entries", dict(kwargs))
        object.__setattr__(self, "_frozen", False)

    @property
    def frozen(self) -> bool:
        """Whether changes are refused."""
        return self._frozen

    def freeze(self) -> Config:
        """Refuse changes from now on; return self."""
        object.__setattr__(self, "_frozen", True)
        return self

    def unfreeze(self) -> Config:
        """Allow changes again; return self."""
        object.__setattr__(self, "_frozen", False)
        return self

    def as_dict(self) -> dict[str, Any]:
        """Return the entries as a new dict."""
        return dict(self._entries)

    def to_json(self) -> str:
        """Return the entries as JSON text."""
        return json.dumps(self._entries)

    def keys(self) -> Any:
        """Return a view of the names."""
        return self._entries.keys()

    def values(self) -> Any:
        """Return a view of the values."""
        return self._entries.values()

    def items(self) -> Any:
        """Return a view of the pairs."""
        return self._entries.items()

    def get(self, keyname: str, value: Any = None) -> Any:
        """Return the entry ``keyname``, or ``value`` where there is none."""
        return self._entries.get(keyname, value)

    def pop(self, *args: Any) -> Any:
        """Remove and return an entry, as ``dict.pop`` does."""
        self._check_not_frozen()
        return self._entries.pop(*args)

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Add or replace entries, as ``dict.update`` does."""
        self._check_not_frozen()
        self._entries.update(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name in ("_entries", "_frozen"):
            raise AttributeError(name)
        if name not in self._entries:
            nearest = suggest(name, self._entries)
            raise AttributeError(f"Config has no entry {name!r}." + (f" Did you mean {nearest!r}?" if nearest else ""))
        return self._entries[name]

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value

    def __delattr__(self, name: str) -> None:
        del self[name]

    def __getitem__(self, key: str) -> Any:
        return self._entries[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self._check_not_frozen()
        self._entries[key] = value

    def __delitem__(self, key: str) -> None:
        self._check_not_frozen()
        del self._entries[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: object) -> bool:
        return key in self._entries

    def __repr__(self) -> str:
        return f"<Config {self._entries}>"

    def _check_not_frozen(self) -> None:
        if self._frozen:
            raise ValueError("This Config is frozen. Call unfreeze() to change it.")
