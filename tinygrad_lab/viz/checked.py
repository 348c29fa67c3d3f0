"""Are the derivatives of the drawn operations right?  The checker's answer, as marks on the graph.

The recorded operations are called again, with moved parameters, and what they give is compared with
the gradients: so no function has to be handed in, and what is marked is what is drawn.

This one file asks the checker, and only when somebody calls ``graph(...).check()``: until then
nothing of it is loaded.  Not for: checking functions (``tinygrad_lab.testing``), or trouble in
training (``health``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from tinygrad_lab.core.engine import Node
from tinygrad_lab.core.tensor import Tensor
from tinygrad_lab.viz.health import Finding, Spot
from tinygrad_lab.viz.health.evidence import Evidence
from tinygrad_lab.viz.naming import Naming
from tinygrad_lab.viz.plan import operands

if TYPE_CHECKING:
    from tinygrad_lab.testing import GradReport

__all__ = ["checker"]

#: What can be said of the numbers at this one point.
_PROPERTIES = ("well_formed", "finite", "directional", "tied_direction", "jacobian")

_NOTICED = 0.01  # of the discrepancy: an operation with less of it is not marked


def checker(budget: float | None) -> Callable[..., list[Finding]]:
    """Make what looks at a graph: it takes the loss, its nodes, the oldest first, and their names.

    ``budget`` is how many seconds it may take.
    """

    def look(loss: Tensor, nodes: Sequence[Node], naming: Naming) -> list[Finding]:
        from tinygrad_lab.testing import gradcheck

        leaves = [node for node in nodes if node.op is None]
        values = {p: v for node in nodes for _, v, p in operands(node) if p is not None}
        values.setdefault(nodes[-1], loss.data)  # a leaf, where nothing was computed
        names = _names(leaves, naming)
        report = gradcheck(
            _again(nodes, leaves), *(values[leaf] for leaf in leaves), names=names,
            name=naming.names[nodes[-1].order], properties=_PROPERTIES, raises=False, budget=budget,
        )  # fmt: skip
        case = Evidence(loss, nodes, naming)
        by_name = dict(zip(names, leaves, strict=True))
        return [*_wrong(case, report, by_name), *_undecided(report, by_name)]

    return look


def _again(nodes: Sequence[Node], leaves: Sequence[Node]) -> Callable[..., Any]:
    """Make a function of the leaves that calls each recorded operation again."""

    def computed(*moved: Any) -> Any:
        values = dict(zip(leaves, moved, strict=True))
        for node in nodes:
            if node.op is None:
                continue
            pairs = zip(node.args, node.parents or (), strict=True)
            args = [arg if parent is None else values[parent] for arg, parent in pairs]
            values[node] = node.op(*args, **(node.kwargs or {}))
        return values[nodes[-1]]

    return computed


def _names(leaves: Sequence[Node], naming: Naming) -> list[str]:
    """Name every leaf, each differently."""
    names: list[str] = []
    for number, leaf in enumerate(leaves):
        name = naming.names.get(leaf.order, f"input {number}")
        names.append(name if name not in names else f"{name} ({number})")
    return names


def _wrong(case: Evidence, report: GradReport, leaves: dict[str, Node]) -> Iterator[Finding]:
    """Give what is wrong: where, by the account of the backward pass, and what it spoils."""
    parts = [part for result in report.results for part in result.parts]
    failed = list(dict.fromkeys(part.name for part in parts if part.verdict == "fail"))
    for fault in report.findings:
        if fault.kind in ("raises", "untracked"):
            yield Finding(
                "undecided", report.name, f"its operations cannot be called again: {fault.text}",
                "Check the function that was called, with tinygrad_lab.testing.gradcheck",
            )  # fmt: skip
            continue
        guilty = list(_guilty(case, fault.blame))
        spoiled = Finding(
            "disagrees", ", ".join(failed), "the gradient that it gets is another than measured",
            spots=tuple(Spot(leaves[name], "∇ disagrees") for name in failed),
        )  # fmt: skip
        account = fault.blame.line() if fault.blame is not None else ""
        text = "; ".join(filter(None, [fault.text, *map(str.strip, fault.lines), account]))
        yield Finding(
            "gradcheck", case.where(guilty[0]) if guilty else "the backward pass", text,
            "Correct its derivative rule; tinygrad_lab.testing.check_op(operation) says more of it"
            if guilty else "Look at the operations by themselves, with tinygrad_lab.testing.blame",
            tuple(Spot(node, "gradcheck") for node in guilty), (spoiled,) if failed else (),
        )  # fmt: skip


def _guilty(case: Evidence, ledger: Any) -> Iterator[Node]:
    """Give the operations whose rules account for a discrepancy, as the picture has them."""
    if ledger is None:
        return
    there = [node for node in ledger.nodes if node.op is not None]
    here = [node for node in case.nodes if node.op is not None]
    if [node.op for node in there] != [node.op for node in here]:
        return
    for entry in ledger.entries:
        if entry.kind == "rule" and abs(entry.share) >= _NOTICED and entry.node in there:
            yield here[there.index(entry.node)]


def _undecided(report: GradReport, leaves: dict[str, Node]) -> Iterator[Finding]:
    if report.verdict != "inconclusive":
        return
    notes = [r.note for r in report.results if r.verdict == "inconclusive"]
    names = [part.name for part in report.not_compared]
    yield Finding(
        "undecided", ", ".join(names) or report.name,
        "; ".join(dict.fromkeys(filter(None, notes))) or "no number could be compared",
        "Check again at other values, or with more time (budget=)",
        tuple(Spot(leaves[name], "gradcheck undecided") for name in names if name in leaves),
    )  # fmt: skip
