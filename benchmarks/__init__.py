"""How fast nngraph is beside its peers: ``python -m benchmarks --help``, and README.md in this folder."""
