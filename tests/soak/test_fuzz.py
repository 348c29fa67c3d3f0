"""Random calls of the public functions: no crash, no hang, no changed input, no error of ours."""

from tests.soak.fuzz import Fuzz


def test_random_calls(rng, rounds, tried):
    fuzz = Fuzz(rng)
    for _ in rounds:
        fuzz.call()
    counts = ", ".join(f"{outcome} {number}" for outcome, number in fuzz.calls.most_common())
    tried(f"{fuzz.calls.total()} calls of {len(fuzz.functions)} functions: {counts}")
    for key, text in fuzz.wrong.items():
        tried(f"{key}: {' '.join(text.split())[-300:]}")
    assert not [text for key, text in fuzz.wrong.items() if key.startswith("wrong")]
