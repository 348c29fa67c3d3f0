"""``tinygrad-lab graph``: the graph of a saved network's loss, as a picture.

Not for the drawing (``tinygrad_lab.viz``).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from tinygrad_lab.lab.commands.frame import CommandError, Json, check_target, doing, echo_json
from tinygrad_lab.lab.commands.predict import Network
from tinygrad_lab.lab.networks import read_network
from tinygrad_lab.lab.training import load_data, loss_of

_ENDINGS = ("svg", "png", "pdf", "html", "dot")


def command(
    network: Network,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The picture: .svg, .png, .pdf, .html or .dot."),
    ] = None,
    detail: Annotated[
        str, typer.Option(help="What is one box: auto, modules, operations or primitives.")
    ] = "auto",
    theme: Annotated[str, typer.Option(help="light or dark.")] = "light",
    health: Annotated[
        bool, typer.Option("--health", help="Look for dead and saturated units and the like.")
    ] = False,
    json: Json = False,
) -> None:
    r"""Draw the graph of a saved network's loss on its data, with the gradients that flow back.

    \b
    tinygrad-lab graph xor.safetensors --out graph.svg
    tinygrad-lab graph xor.safetensors --health

    Without --out it is printed as a tree. With --health what is wrong is marked in the picture and
    printed: where it begins, what follows from it, what helps.
    """
    from tinygrad_lab import viz

    check_target(out, "--out", _ENDINGS)
    trained = read_network(network)
    data = load_data(trained.settings, trained.seed)
    model = trained.model()
    loss = loss_of(trained.settings, model, data.x, data.y)
    names = {"x": data.x, "y": data.y}
    try:
        graph: Any = viz.graph(loss, model, names=names, detail=detail, theme=theme)
        graph = graph.health() if health else graph
        if out is not None:
            with doing(f"write {out}"):
                graph.save(out)
    except (ValueError, viz.RenderError) as error:
        raise CommandError(str(error)) from None
    findings = [str(finding) for finding in graph.findings] if health else None
    if json:
        document = {"network": str(network), "loss": loss.item(), "picture": out and str(out)}
        echo_json(document | ({} if findings is None else {"findings": findings}))
    elif health:
        typer.echo(graph.report())
    else:
        typer.echo(f"{out} written" if out else str(graph))
