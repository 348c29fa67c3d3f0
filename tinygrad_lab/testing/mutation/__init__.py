"""Plant faults in the gradients that a user wrote, one after the other, and rerun their tests.

Not for: the faults that our own checker is measured against (``benchmarks/checkers``), or running
pytest (``pytest/plugin.py``).
"""

from tinygrad_lab.testing.mutation.campaign import Campaign, Mutant, names_in
from tinygrad_lab.testing.mutation.places import Rule, rules_of_users, written
from tinygrad_lab.testing.mutation.score import MutationScore, mutation_score, undisturbed
from tinygrad_lab.testing.mutation.suggestions import Suggestion, together

__all__ = [
    "Campaign", "Mutant", "MutationScore", "Rule", "Suggestion", "mutation_score", "names_in",
    "rules_of_users", "together", "undisturbed", "written",
]  # fmt: skip
