"""``python -m nngraph`` is the ``nngraph`` command."""

from nngraph.cli import main

main()
