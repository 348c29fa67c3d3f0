"""Some random calls of everything public: none hangs, none runs into itself.

Not for errors that tell nothing, and changed inputs: `make test-soak` looks for them, for minutes.
"""

import random

from tests.soak.fuzz import Fuzz


def test_random_calls():
    fuzz = Fuzz(random.Random(0))
    while fuzz.calls.total() < 1500:
        fuzz.call()
    assert fuzz.calls["result"] > 20
    assert fuzz.calls["gradient"] > 10
    wrong = [text for text in fuzz.wrong.values() if "hangs" in text or "Recursion" in text]
    assert not wrong
