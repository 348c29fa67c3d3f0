"""``tinygrad-lab predict``: what a saved network says of examples.

Not for what it is asked about (``lab/examples.py``).
"""

from __future__ import annotations

import csv
from io import StringIO
from pathlib import Path
from typing import Annotated, Any

import typer

from tinygrad_lab.files import write_file
from tinygrad_lab.lab.commands.frame import CommandError, Json, check_target, doing, echo_json
from tinygrad_lab.lab.data import DATA_NAMES
from tinygrad_lab.lab.networks import read_network
from tinygrad_lab.lab.predictions import Predictions
from tinygrad_lab.lab.training import closing_line

Network = Annotated[
    Path, typer.Argument(metavar="FILE", help="What train --save wrote: xor.safetensors, say.")
]


def command(
    network: Network,
    data: Annotated[
        str | None,
        typer.Option(help="A name as for train, or a CSV or IDX file; else what it learned from."),
    ] = None,
    target: Annotated[
        str | None, typer.Option(help="The column of the CSV file with the true classes.")
    ] = None,
    labels: Annotated[str | None, typer.Option(help="The IDX file with the true classes.")] = None,
    n: Annotated[int | None, typer.Option("--n", help="How many points are drawn.")] = None,
    noise: Annotated[float | None, typer.Option(help="How far points are moved.")] = None,
    seed: Annotated[
        int | None, typer.Option(help="Another draw than that of the training.", min=0)
    ] = None,
    held_out: Annotated[
        bool, typer.Option("--held-out", help="The examples that training keeps for the test.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a CSV file in place of the lines.")
    ] = None,
    json: Json = False,
) -> None:
    r"""Print what a saved network says, beside the truth where that is known.

    \b
    tinygrad-lab predict xor.safetensors
    tinygrad-lab predict linear.safetensors --data linear --n 1000 --seed 5
    tinygrad-lab predict flowers.safetensors --data more.csv --out said.csv

    A line an example, then the mean squared error and the share that is right. Columns of a CSV
    file are found by their names; others than those of the training count for nothing.
    """
    from tinygrad_lab.lab import examples

    check_target(out, "--out", ("csv",))
    trained = read_network(network)
    of_names = {"n": n, "noise": noise, "seed": seed}
    chosen: dict[str, Any] = {name: v for name, v in of_names.items() if v is not None}
    of_files = {"target": target, "labels": labels}
    files = {name: value for name, value in of_files.items() if value is not None}
    if data is None:
        _refuse([*chosen, *files], "needs --data, which says of what")
        x, y = examples.own_examples(trained, held_out)
    elif data in DATA_NAMES or not ("." in data or "/" in data):
        _refuse(list(files), "is for data in a file")
        x, y = examples.named_examples(trained, data, held_out=held_out, **chosen)
    else:
        _refuse([*chosen, *(["held-out"] if held_out else [])], "is for data with a name")
        x, y = examples.file_examples(trained, data, **files)
    predictions = trained.predictions(x, y)
    if out is not None:
        with doing(f"write {out}"):
            write_file(out, _table(predictions).encode())
    if json:
        echo_json(
            {
                "network": str(network),
                "data": trained.settings.data if data is None else data,
                "classes": list(trained.encoding.classes),
                "loss": predictions.loss,
                "accuracy": predictions.accuracy,
                "predictions": predictions.rows(),
            }
        )
        return
    lines = [f"{len(x):,} predictions written to {out}"] if out else predictions.lines()
    if predictions.loss is not None and predictions.accuracy is not None:
        lines.append(closing_line(predictions.loss, predictions.accuracy))
    typer.echo("\n".join(lines))


def _refuse(names: list[str], why: str) -> None:
    if names:
        raise CommandError(f"--{names[0]} {why}")


def _table(predictions: Predictions) -> str:
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    rows = predictions.rows()
    classes = predictions.encoding.classes
    outputs = [f"output {name}" for name in classes[-predictions.outputs.shape[1] :]]
    known = [] if predictions.y is None else ["truth"]
    writer.writerow([*known, "prediction", *outputs])
    for row in rows:
        writer.writerow([*(row[name] for name in known), row["prediction"], *row["outputs"]])
    return text.getvalue()
