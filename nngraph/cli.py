"""The command line: ``nngraph inspect model.onnx``, ``nngraph check``, ``nngraph export-step -o step.onnx``."""

from __future__ import annotations

import contextlib
import inspect as introspection
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from nngraph.version import __version__

__all__ = ["app", "main"]

USAGE = 2
"""Exit status for arguments that do not fit."""

BAD_FILE = 3
"""Exit status for a file that is missing, damaged or not an ONNX model."""

UNSUPPORTED = 4
"""Exit status for a model with which the command cannot do what was asked for."""

app = typer.Typer(
    name="nngraph",
    help="Look into ONNX models, and turn them into training steps that run anywhere.",
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
    """Look into ONNX models, and turn them into training steps that run anywhere."""


@app.command()
def inspect(
    model: Annotated[Path, typer.Argument(help="An .onnx file.", metavar="MODEL")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")] = False,
) -> None:
    """Print a model's inputs, outputs, parameters, operators, size and opset.

    Example: nngraph inspect model.onnx --json
    """
    from nngraph.serde import summarize

    with _failing(BAD_FILE):
        summary = summarize(model)
    if as_json:
        typer.echo(json.dumps({"schema": 1, **summary.to_dict()}, indent=2))
    else:
        _print_summary(summary)


@app.command()
def check(
    model: Annotated[Path, typer.Argument(help="An .onnx file.", metavar="MODEL")],
    seconds: Annotated[int, typer.Option(help="Processor time that the attempt may take.", min=1)] = 60,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Try a file from a stranger: a child process checks it and builds a session of the runtime from it.

    Example: nngraph check model.onnx
    """
    from nngraph.runtime.isolation import probe
    from nngraph.serde.reading import open_model

    with _failing(BAD_FILE):
        open_model(model)
        probe(model, seconds=seconds)
    typer.echo(json.dumps({"schema": 1, "ok": True}) if as_json else f"{model}: valid, and the runtime takes it")


@contextlib.contextmanager
def _failing(status: int) -> Iterator[None]:
    """End with a status and one message where a block raises what users can cause."""
    try:
        yield
    except (FileNotFoundError, ValueError, TypeError, RuntimeError) as error:
        typer.echo(f"nngraph: {error}", err=True)
        raise typer.Exit(status) from None


@app.command("export-step")
def export_step(
    model: Annotated[Path, typer.Argument(help="A model that nngraph saved, or any .onnx file.", metavar="MODEL")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Where the training step goes.", metavar="STEP.onnx")],
    loss: Annotated[
        str | None, typer.Option(help="A loss, such as mse. Default: the one the model was saved with.")
    ] = None,
    optimizer: Annotated[str | None, typer.Option(help="Default: the one the model was saved with, else adam.")] = None,
    metrics: Annotated[list[str] | None, typer.Option("--metric", help="A metric; may be given several times.")] = None,
    from_logits: Annotated[
        bool, typer.Option("--from-logits", help="The outputs are logits, not probabilities.")
    ] = False,
    learning_rate: Annotated[float | None, typer.Option(help="The learning rate to begin with.")] = None,
    trainable: Annotated[
        list[str] | None,
        typer.Option(
            help="Train the weights that match this pattern, such as 'fc.*'; for files that nngraph did not save."
        ),
    ] = None,
    shapes: Annotated[
        list[str] | None,
        typer.Option(
            "--shape",
            help="Another shape of an input, such as data=any,3,224,224; for files that nngraph did not save.",
            metavar="INPUT=SIZES",
        ),
    ] = None,
    batch_size: Annotated[int | None, typer.Option(help="Rows of a batch. Default: any number.")] = None,
    opset: Annotated[
        int | None, typer.Option(help="The ai.onnx opset. Default: 20, or newer where it must be.")
    ] = None,
    inference: Annotated[
        Path | None, typer.Option(help="Where the inference model goes. Default: STEP.infer.onnx.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Write a model's training step, which any ONNX runtime executes, and the inference model that it trains.

    Example: nngraph export-step model.onnx --loss mse --optimizer adam -o step.onnx
    """
    from nngraph import config
    from nngraph.models.training_step import export_training_step

    config.disable_interactive_logging()
    with _failing(USAGE):
        wanted = _shapes(shapes or ())
    with _failing(BAD_FILE):
        found = _open_model(model, trainable, wanted)
    with _failing(USAGE):
        _compile(found, loss, optimizer, metrics, learning_rate, from_logits)
        if not output.parent.is_dir():
            raise FileNotFoundError(f"cannot write {str(output)!r}: the folder {str(output.parent)!r} does not exist")
    with _failing(UNSUPPORTED):
        report = export_training_step(
            found, output, batch_size=batch_size, opset_version=opset, inference_path=inference
        )
    if as_json:
        typer.echo(json.dumps({"schema": 1, **_step_facts(report)}, indent=2))
    else:
        _print_step(_step_facts(report))


def _shapes(texts: Iterable[str]) -> dict[str, list[int | None]]:
    """Return the sizes of each input, ``None`` for any size."""
    found: dict[str, list[int | None]] = {}
    for text in texts:
        name, _, sizes = text.rpartition("=")
        entries = sizes.split(",")
        if not name or not all(entry == "any" or entry.isdigit() for entry in entries):
            raise ValueError(f"--shape {text!r} is not INPUT=SIZES: write numbers or 'any', as in data=any,3,224,224")
        found[name] = [None if entry == "any" else int(entry) for entry in entries]
    return found


def _open_model(path: Path, trainable: list[str] | None, shapes: dict[str, list[int | None]]) -> Any:
    """Return a model with its layers where nngraph saved it, else as an imported one."""
    from nngraph.models import load_model, load_onnx
    from nngraph.serde import summarize

    if "nngraph.config" not in summarize(path).metadata:
        return load_onnx(path, trainable=trainable or True, input_shapes=shapes or None, untrusted=True)
    if trainable or shapes:
        hint = "--trainable" if trainable else "--shape"
        raise typer.BadParameter("nngraph saved this model with its layers, and with this", param_hint=hint)
    return load_model(path)


def _compile(
    model: Any,
    loss: str | None,
    optimizer: str | None,
    metrics: list[str] | None,
    learning_rate: float | None,
    from_logits: bool,
) -> None:
    """Compile a model as it was saved, except for what is given."""
    from nngraph import losses

    saved = model._compile_arguments
    chosen: Any = saved.get("loss") if loss is None else loss
    if chosen is None:
        raise ValueError("the model was not saved with a loss: give --loss, such as --loss mse")
    if from_logits:
        losses.get(chosen)  # complains about what is unknown
        kind = getattr(losses, "".join(part.title() for part in str(chosen).split("_")), None)
        if kind is None or "from_logits" not in introspection.signature(kind).parameters:
            raise ValueError(f"--from-logits does not go with the loss {chosen!r}, which knows no logits")
        chosen = kind(from_logits=True)
    if from_logits or not model.compiled or any(given is not None for given in (loss, optimizer, metrics)):
        model.compile(
            optimizer=optimizer or saved.get("optimizer") or "adam",
            loss=chosen,
            loss_weights=saved.get("loss_weights"),
            metrics=metrics if metrics is not None else saved.get("metrics"),
        )
    if learning_rate is not None:
        model.optimizer.learning_rate = learning_rate


def _step_facts(report: Any) -> dict[str, Any]:
    told = report.description
    kinds: dict[str, dict[str, int]] = {}
    for entry in told["state"]:
        kind = kinds.setdefault(entry["kind"], {"tensors": 0, "bytes": 0})
        kind["tensors"] += 1
        kind["bytes"] += entry["length"]
    files = {
        name: {"path": str(r.path), "size": r.size, "opset": r.opset, "nodes": sum(r.operators.values())}
        for name, r in (("step", report.step), ("inference", report.inference))
    }
    ports = {key: told[key] for key in ("batch_size", "inputs", "hyperparameters", "results")}
    return {**files, **ports, "state": kinds}


def _print_step(facts: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(highlight=False)
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")  # a path can be copied whole

    def row(key: str, text: str) -> None:
        table.add_row(f"[bold]{escape(key)}[/bold]", escape(text))

    for key, name in (("training step", "step"), ("inference model", "inference")):
        file = facts[name]
        row(key, f"{file['path']} ({file['size']:,} bytes, ai.onnx opset {file['opset']}, {file['nodes']} nodes)")
    for entry in facts["inputs"]:
        row(f"input {entry['role']}", f"{entry['name']} {entry['dtype']} [{', '.join(map(str, entry['shape']))}]")
    for entry in facts["hyperparameters"]:
        row("input", f"{entry['input']} {entry['dtype']}, begin with {entry['value']:g}")
    for entry in facts["results"]:
        row("result", f"{entry['name']} {entry['dtype']}")
    for kind, count in facts["state"].items():
        row(f"state {kind}", f"{count['tensors']} tensors ({count['bytes']:,} bytes)")
    console.print(table)


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
