"""The two reports that this lab began with, run again and judged: a page with its data.

What the reports say is in ``report_a.toml`` and ``report_b.toml`` (``reported.py`` reads them), and
report A's code in ``by_hand.py``; what we measure in ``studies.py``; how the two are judged in
``measuring.py``, ``judging.py`` and ``checked.py``; how it is shown in ``page.py`` and
``templates/``.

Not for training (``tinygrad_lab.lab``), which knows of no report: only the command line imports
this.
"""

from __future__ import annotations

from tinygrad_lab.lab.reports.writing import Outcome, make_report

__all__ = ["Outcome", "make_report"]
