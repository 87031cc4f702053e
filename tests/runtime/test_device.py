"""The devices and what a session is told about them."""

from __future__ import annotations

from nngraph import config
from nngraph.runtime import device


def test_options_of_the_provider() -> None:
    assert device.provider_options("cpu") == [("CPUExecutionProvider", {})]
    (name, options), cpu = device.provider_options("cuda")
    assert (name, cpu[0]) == ("CUDAExecutionProvider", "CPUExecutionProvider")
    assert options["use_tf32"] == options["prefer_nhwc"] == options["enable_cuda_graph"] == "0"
    assert options["cudnn_conv_algo_search"] == "EXHAUSTIVE" and "gpu_mem_limit" not in options
    with config.override(cuda_tf32=True, cuda_nhwc=1, cuda_conv_search="heuristic", cuda_memory_gib=2):
        options = device.provider_options("cuda", capture=True)[0][1]
    assert options["use_tf32"] == options["prefer_nhwc"] == options["enable_cuda_graph"] == "1"
    assert options["cudnn_conv_algo_search"] == "HEURISTIC" and options["gpu_mem_limit"] == str(2 * 2**30)
