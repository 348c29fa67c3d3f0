"""From a judgement to a finding: which element, what pattern, whose fault, and how to see it again.

Not for: deciding that something is wrong (``judging``), or the sentences (``words.py``).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from tinygrad_lab.core.modes import debug
from tinygrad_lab.testing.judging.judgement import FAIL, Evidence, Judgement, Kind
from tinygrad_lab.testing.judging.locating import Located, most_wrong
from tinygrad_lab.testing.judging.numerical import direction_like
from tinygrad_lab.testing.judging.point import Point
from tinygrad_lab.testing.judging.running import OutOfTime
from tinygrad_lab.testing.judging.subject import TensorSubject
from tinygrad_lab.testing.judging.trial import Trial
from tinygrad_lab.testing.telling import ledger
from tinygrad_lab.testing.telling.audit import audit
from tinygrad_lab.testing.telling.digits import compared, ratio_of
from tinygrad_lab.testing.telling.finding import Finding, GradReport, Part, Result
from tinygrad_lab.testing.telling.mistakes import Mistake, beside, is_same_fault, mistakes_of
from tinygrad_lab.testing.telling.patterns import NEARLY_RIGHT, pattern_of
from tinygrad_lab.testing.telling.places import place_of
from tinygrad_lab.testing.telling.reproducers import (
    of_adapted,
    rehearsing,
    reproducer,
    stop_if_shown,
)
from tinygrad_lab.testing.telling.suspects import guilty
from tinygrad_lab.testing.telling.words import (
    RIGHT_ALONE,
    element,
    extent,
    note,
    of_blame,
    sentences,
)

MOST_EXPLAINED = 4  # mistakes of one check; of others, that they are there


def enter(report: GradReport, label: str, judgement: Judgement, point: Point | None = None) -> None:
    """Enter a judgement of one property into a report, and explain it if it is a failure."""
    report.add_notes(": ".join(sentences(about)) for about in judgement.notes)
    parts = tuple(Part(p.site.name, p.verdict, p.resolution, note(p)) for p in judgement.parts)
    if judgement.verdict == FAIL:
        stop_if_shown(judgement.kind)
        report.results.append(Result(label, FAIL, parts=parts))
        report.findings += findings_of(label, judgement, point)
    else:
        words = note(judgement)
        result = Result(label, judgement.verdict, judgement.resolution, words, parts)
        report.results.append(result)


def _explained(label: str, judgement: Judgement, point: Point | None) -> Finding:
    """Explain a failure, as far as somebody reads it and there is time to."""
    if rehearsing.get():
        return _bare(label, judgement)
    try:
        return finding_of(label, judgement, point)
    except OutOfTime:
        finding = _bare(label, judgement)
        if judgement.evidence is not None:
            _add_numbers(finding, judgement, judgement.evidence, None)
        finding.lines.append("there was no time left to look closer")
        return finding


@contextlib.contextmanager
def unexplained() -> Iterator[None]:
    """Only name failures: while a search makes one small, nobody reads why."""
    token = rehearsing.set(True)
    try:
        yield
    finally:
        rehearsing.reset(token)


def _bare(label: str, judgement: Judgement) -> Finding:
    """Say no more of a failure than its kind."""
    assert judgement.kind is not None
    return Finding(label, judgement.kind, sentences(judgement)[0], judgement.site.input)


def findings_of(label: str, judgement: Judgement, point: Point | None = None) -> list[Finding]:
    """Explain a failure of one property: one finding for each mistake, the worst first."""
    mistakes = mistakes_of(judgement)
    if not mistakes:
        return [_explained(label, judgement, point)]
    told: list[tuple[Mistake, Finding]] = []
    for mistake in mistakes:
        worst = mistake.parts[0]
        if judgement.order > 1:  # of a gradient, which is told of the whole alone
            kind, order, inner = judgement.kind, judgement.order, judgement.point
            worst = mistake.parts[0] = replace(worst, kind=kind, order=order, point=inner)
        if len(told) == MOST_EXPLAINED:
            told.append((mistake, _bare(label, worst)))
            continue
        finding = _explained(label, worst, point)
        same = next((m for m, other in told if is_same_fault(other, finding)), None)
        if same is None:
            finding.lines[1:1] = beside(mistake, judgement)
            told.append((mistake, finding))
        else:
            same.parts += mistake.parts
    for mistake, finding in told:
        if len(mistake.parts) > 1:
            worst = mistake.parts[0]
            several = replace(worst, facts={**worst.facts, "several": mistake.sites})
            finding.text = sentences(several)[0]
    return [finding for _, finding in told]


def finding_of(label: str, judgement: Judgement, point: Point | None = None) -> Finding:
    """Explain a failure of one property at a point."""
    finding = _described(label, judgement)
    inner, evidence = judgement.point or point, judgement.evidence
    if evidence is not None:
        _accuse(finding, judgement.analytic, evidence, judgement.order)
    elif judgement.kind is Kind.NONLINEAR and inner is not None:
        _accuse_by_numbers(finding, inner)
    elif judgement.kind is Kind.NOT_FINITE and inner is not None:
        finding.lines += _first_not_finite(inner)
    if point is not None and not finding.site:
        _name_the_rule(finding, label, point)
    if point is not None:
        finding.lines += point.subject.hints(finding.kind)
    where = inner if evidence is None else evidence.point
    if where is not None and not isinstance(where.subject, TensorSubject):
        ups = [] if evidence is None else evidence.upstreams
        upstream = ups[0] if len(ups) == 1 else None
        finding.reproducer = of_adapted(where.subject, upstream, finding.kind).text
    return finding


def _described(label: str, judgement: Judgement) -> Finding:
    """Say what is wrong, where most, and by how much."""
    evidence = judgement.evidence
    located = most_wrong(evidence) if evidence is not None else None
    if located is not None and evidence is not None:
        site = evidence.point.subject.site(located.input, located.place)
        analytic, estimate = located.analytic, located.estimate
        judgement = replace(judgement, site=site, analytic=analytic, estimate=estimate)
    text, *lines = sentences(judgement)
    assert judgement.kind is not None
    finding = Finding(label, judgement.kind, text, judgement.site.input, lines)
    finding.site = judgement.site.line
    if evidence is not None:
        _add_numbers(finding, judgement, evidence, located)
    return finding


def _name_the_rule(finding: Finding, label: str, point: Point) -> None:
    """Say which derivative by hand is wrong: of the function itself, or of a call inside."""
    own = point.subject.rule()
    if own is not None:
        finding.site = own.site.line
        finding.lines.append(f"its {own.part} is at {own.site.line}: {own.site.source}")
        return
    suspects, number = guilty(point, label)
    finding.cause = finding.cause or ", ".join(s.inside.rule.site.line for s in suspects)
    for suspect in suspects:
        inside, (site, part) = suspect.inside, suspect.inside.rule
        finding.site = finding.site or site.line
        finding.lines.append(
            f"{inside.subject.name}, {suspect.number} of {number} calls inside with a derivative "
            f"by hand, is wrong by itself; its {part} is at {site.line}: {site.source}"
        )
        alone = _described(label, suspect.judgement)
        finding.lines += [f"  {line}" for line in [alone.text, *alone.lines][:2]]
    if number and not suspects:
        finding.lines.append(
            f"the {number} calls inside with a derivative by hand are right by themselves: look "
            "for what is cut off on the way, and for hooks"
        )


def _add_numbers(
    finding: Finding, judgement: Judgement, evidence: Evidence, located: Located | None
) -> None:
    """Say where a gradient is most wrong, by how much, and what that looks like."""
    analytic, numeric = judgement.analytic, judgement.estimate
    finding.analytic, finding.numeric = analytic, numeric
    by_rule, measured = compared(analytic, numeric)
    if located is None and "exactly" in judgement.facts:
        line = ""  # its own lines say both
    elif located is None:
        line = f"along a direction the gradient promises {by_rule}, numeric {measured}"
    else:
        finding.index = located.place
        finding.diagnosis = pattern_of(evidence, located)
        line = f"at {element(judgement.site)}: rule gives {by_rule}, numeric {measured}"
        ratio = f"ratio {ratio_of(analytic, numeric.value)} here" if numeric.value else ""
        hint = finding.diagnosis or ratio
        line += f"        ({hint})" if hint else ""
    where = "" if located is None else extent(located, evidence.point)
    finding.lines[:0] = [text for text in (line, where) if text]
    size = max(abs(numeric.value), abs(analytic) if not np.isinf(analytic) else 0.0)
    finding.error = abs(analytic - numeric.value) / size if size else 0.0
    if 0 < finding.error < NEARLY_RIGHT:
        allowing = 10.0 ** np.ceil(np.log10(2 * finding.error))
        finding.lines.append(f"tolerance={allowing:.0e} allows it, where that is meant")


def _accuse(finding: Finding, analytic: float, evidence: Evidence, order: int = 1) -> None:
    """Say which operation is wrong; of a backward pass by hand, which line."""
    point = evidence.point
    if not isinstance(point.subject, TensorSubject):
        _accuse_adapted(finding, evidence)
        return
    is_finite = evidence.climb.ladder.finite and np.isfinite(analytic)
    account = ledger.draw_up(evidence) if is_finite else None
    if account is None:
        return
    finding.blame = account
    if account.guilty is not None:
        finding.site = account.guilty.site
        finding.cause = f"{account.guilty.kind} {account.guilty.what}"
        finding.lines += of_blame(account.guilty.kind)
        shown = reproducer(account, order)
        finding.reproducer = shown.text
        if shown.is_right_alone:
            finding.lines.append(RIGHT_ALONE)


def _accuse_adapted(finding: Finding, evidence: Evidence) -> None:
    """Say which line of a backward pass by hand is wrong."""
    point = evidence.point
    backward_pass = point.subject.backward_pass(point.arrays, evidence.upstreams)
    if backward_pass is not None:
        lines, finding.site = audit(backward_pass, finding.input, point.memo)
        finding.cause = finding.site
        finding.lines += lines


def _accuse_by_numbers(finding: Finding, point: Point) -> None:
    """Where a pullback is not linear, find an upstream for which it gives a wrong number."""
    directions = [direction_like(x, point.generator) for x in point.arrays]
    for factor in (1.0, -1.0, 4.0):
        ups = [factor * u for u in point.upstreams]
        gradients = point.pulled(ups, point.recorded)
        judgement = Trial(point, gradients, ups).judge(directions)
        if judgement.verdict == FAIL and judgement.evidence is not None:
            _accuse(finding, judgement.analytic, judgement.evidence)
            return


def _first_not_finite(point: Point) -> list[str]:
    """Find the operation whose derivative is the first that is not finite."""
    if not isinstance(point.subject, TensorSubject):
        return []
    try:
        with debug(), np.errstate(all="ignore"):
            point.pulled(point.upstreams)
    except FloatingPointError as error:
        what, _, where = str(error).partition("\n  called at ")
        place = place_of(where)
        source = where.removeprefix(f"{place.file}:{place.line}")
        return [f"first of all, {what}", f"  called at {place}{source}"]
    return []
