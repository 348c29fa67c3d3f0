"""Pages of one file, which need nothing beside them: their skeleton, style, script and figures.

Not for what is on a page (``lab/reports``, ``lab/sweeps``).
"""

from __future__ import annotations

from typing import Any

import jinja2

from tinygrad_lab.viz.style import THEMES


def render(package: str, template: str, **shown: Any) -> str:
    """Fill a template, which extends ``page.html.j2`` and may include what lies beside that.

    Parameters
    ----------
    package, template
        Whose ``templates`` it is in, and its name.
    **shown
        ``title``, of the page; ``name`` and ``contents``, the head of the contents and the title of
        each section by its key; and whatever else the template shows.

    Raises
    ------
    jinja2.UndefinedError
        The template shows something that is not among it.
    """
    environment = jinja2.Environment(
        loader=jinja2.ChoiceLoader([jinja2.PackageLoader(each) for each in (package, __package__)]),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    graph = {theme: THEMES[theme].background for theme in ("light", "dark")}
    return environment.get_template(template).render(graph=graph, **shown)
