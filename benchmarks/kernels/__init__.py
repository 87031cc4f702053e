"""What stock ONNX Runtime does well on this machine: ``python -m benchmarks.kernels --help``.

The lowering chooses between several ways to write one computation. These programs time the ways beside each other, so
that the choice can be examined on another machine. All ways of a group must give equal results, or the program fails.
"""
