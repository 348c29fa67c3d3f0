"""Write the sums of many checks, and what became of planted faults, as JSON or as one page.

Not for: the sums (``tally.py``).
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from tinygrad_lab.testing.telling.tally import RANK, in_order, resolution_text, unnoticed


def write(
    path: Path, rows: Sequence[Mapping[str, Any]], mutants: Sequence[Mapping[str, Any]]
) -> None:
    """Write a report as .json or .html: first to a file beside it, which then replaces it."""
    if path.suffix == ".json":
        text = json.dumps({"checks": in_order(rows), "mutants": mutants}, indent=1) + "\n"
    else:
        text = _page(in_order(rows), mutants)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        beside.write_text(text, encoding="utf-8")
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


_STYLE = """
:root{color-scheme:light dark}
body{font:15px/1.5 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem}
div{overflow-x:auto}table{border-collapse:collapse;width:100%}
td,th{text-align:left;padding:.3rem .6rem;border-top:1px solid #8884;vertical-align:top}
th{border-top:0}td.why{border-top:0;padding-top:0}
pre{white-space:pre-wrap;overflow-wrap:anywhere;margin:0;padding:.6rem .8rem;
 background:#8881;border-radius:.4rem;font-size:13px}
.pass{color:#1a7f37}.fail{color:#cf222e}.inconclusive{color:#9a6700}
.pass,.fail,.inconclusive{font-weight:600;white-space:nowrap}
@media(prefers-color-scheme:dark){.pass{color:#4ac26b}.fail{color:#ff7b72}
 .inconclusive{color:#e3b341}}
"""


def _page(rows: Sequence[Mapping[str, Any]], mutants: Sequence[Mapping[str, Any]]) -> str:
    counts = [
        _verdict(verdict, f"{number} {verdict}")
        for verdict in RANK
        if (number := sum(row["verdict"] == verdict for row in rows))
    ]
    head = (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>Gradients</title><style>{_STYLE}</style><h1>Gradients</h1>"
        f"<p>{', '.join(counts) or 'none was checked'}</p>"
    )
    titles = ("Operation", "Verdict", "Resolution", "Properties", "Checks", "Test")
    parts = [head, _table(titles, [line for row in rows for line in _lines(row)])]
    return "\n".join([*parts, *(_planted(mutants) if mutants else []), "</html>\n"])


def _lines(row: Mapping[str, Any]) -> list[str]:
    cells = (
        escape(row["operation"]), _verdict(row["verdict"], row["verdict"]),
        resolution_text(row["resolution"]), escape(row["summary"]), str(row["checks"]),
        escape(row["test"]),
    )  # fmt: skip
    undecided = "\n".join(f"{name}: {note}" for name, note in row["notes"].items())
    text = "\n\n".join(filter(None, [*row["messages"], undecided]))
    below = f'<tr><td class="why" colspan="{len(cells)}"><pre>{escape(text)}</pre>'
    return [_line(cells), below] if text else [_line(cells)]


def _planted(mutants: Sequence[Mapping[str, Any]]) -> list[str]:
    faults = list(dict.fromkeys(m["fault"] for m in mutants))
    cells: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for m in mutants:
        noticed, every = len(m["noticed"]), len(m["noticed"]) + len(m["missed"])
        text = f"{noticed} of {every} tests" if every else "no test"
        cells[m["rule"]][m["fault"]] = _verdict("pass" if noticed else "fail", text)
    rows = ((escape(name), *(row.get(f, "") for f in faults)) for name, row in cells.items())
    noticed = sum(bool(m["noticed"]) for m in mutants)
    missing = [escape(text) for text in unnoticed(mutants)]
    return [
        f"<h2>Planted faults</h2><p>{noticed} of {len(mutants)} noticed</p>",
        _table(("Gradient", *map(escape, faults)), [_line(row) for row in rows]),
        *(["<ul><li>" + "<li>".join(missing) + "</ul>"] if missing else []),
    ]


def _verdict(kind: str, text: str) -> str:
    return f'<span class="{kind}">{text}</span>'


def _line(cells: Sequence[str]) -> str:
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells)


def _table(titles: Sequence[str], lines: Sequence[str]) -> str:
    head = "<tr>" + "".join(f"<th>{title}</th>" for title in titles)
    return "\n".join(["<div><table>", head, *lines, "</table></div>"])
