"""The command line: ``nngraph inspect model.onnx``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from nngraph.version import __version__

__all__ = ["app", "main"]

BAD_FILE = 3
"""Exit status for a file that is missing, damaged or not an ONNX model."""

app = typer.Typer(
    name="nngraph",
    help="Look into ONNX models.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"nngraph {__version__}")
        raise typer.Exit()


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Look into ONNX models."""


@app.command()
def inspect(
    model: Annotated[Path, typer.Argument(help="An .onnx file.", metavar="MODEL")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")] = False,
) -> None:
    """Print a model's inputs, outputs, parameters, operators, size and opset.

    Example: nngraph inspect model.onnx --json
    """
    from nngraph.serde import summarize

    try:
        summary = summarize(model)
    except (FileNotFoundError, ValueError) as error:
        typer.echo(f"nngraph: {error}", err=True)
        raise typer.Exit(BAD_FILE) from None
    if as_json:
        typer.echo(json.dumps({"schema": 1, **summary.to_dict()}, indent=2))
    else:
        _print_summary(summary)


def _print_summary(summary: Any) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(highlight=False)
    facts = Table.grid(padding=(0, 2))
    opsets = ", ".join(f"{domain} {version}" for domain, version in summary.opsets.items())
    rows = {
        "file": f"{summary.path} ({summary.size:,} bytes)",
        "graph": summary.graph,
        "producer": summary.producer or "unknown",
        "opset": f"{opsets} (IR version {summary.ir_version})",
        "parameters": f"{summary.parameters:,} in {summary.initializers} tensors ({summary.parameter_bytes:,} bytes)"
        + (", in external files" if summary.external_data else ""),
        "nodes": f"{summary.nodes:,}",
        **{f"metadata {key}": text for key, text in summary.metadata.items()},
    }
    for key, text in rows.items():
        facts.add_row(f"[bold]{escape(key)}[/bold]", escape(text))
    console.print(facts)
    ports = Table("", "name", "dtype", "shape")
    for kind, tensors in (("input", summary.inputs), ("output", summary.outputs)):
        for tensor in tensors:
            shape = "unknown" if tensor.shape is None else "[" + ", ".join(map(str, tensor.shape)) + "]"
            ports.add_row(kind, escape(tensor.name), tensor.dtype, escape(shape))
    console.print(ports)
    histogram = Table("operator", "count")
    histogram.columns[1].justify = "right"
    for op, count in summary.operators.items():
        histogram.add_row(escape(op), f"{count:,}")
    console.print(histogram)


def main() -> None:
    """Run the command line."""
    try:
        app()
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        sys.stderr.close()
        sys.exit(0)


if __name__ == "__main__":
    main()
