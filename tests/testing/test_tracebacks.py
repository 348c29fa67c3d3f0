"""What is left of the traceback and the notes of a failed gradient test."""

import linecache
import traceback

import numpy as np
import pytest

from tinygrad_lab import testing as tgt
from tinygrad_lab.core import engine
from tinygrad_lab.testing.pytest.tracebacks import says_it_all, tidy

X = np.array([0.5, 1.0])
wrong = tgt.adapters.numpy(np.sin, lambda g, x: -g * np.cos(x))


def raised(f):
    with pytest.raises(tgt.GradientError) as caught:
        tgt.gradcheck(f, X)
    return caught.value


def lines_of(error):
    return [(frame.f_code.co_name, line) for frame, line in traceback.walk_tb(error.__traceback__)]


def test_only_frames_of_the_reader_are_left():
    error = raised(wrong)
    assert "gradcheck" in dict(lines_of(error))
    tidy(error)
    assert set(dict(lines_of(error))) == {"raised"}


def test_so_it_is_with_causes_and_parts():
    def broken(x):
        raise ZeroDivisionError("mine")

    error = raised(broken)
    group = ExceptionGroup("several", [error, raised(wrong)])
    tidy(group)
    assert set(dict(lines_of(error))) == {"raised"}
    assert set(dict(lines_of(error.__cause__))) == {"broken"}


def test_a_function_that_has_returned_is_shown_at_its_last_line():
    # fmt: off
    def test_of_mine(
        x,
    ):
        y = x * 2

        return y + x
    # fmt: on
    error = raised(wrong).with_traceback(None)
    tidy(error, test_of_mine)
    [(frame, line)] = traceback.walk_tb(error.__traceback__)
    assert linecache.getline(__file__, line).strip() == "return y + x"
    assert frame.f_code.co_name == "test_of_mine"
    assert frame.f_code.co_firstlineno == test_of_mine.__code__.co_firstlineno
    assert "^^^" not in "".join(traceback.format_exception(error))


def test_an_error_that_is_its_own_cause_has_an_end():
    error = raised(wrong)
    error.__cause__ = cause = ValueError("mine")
    cause.__cause__ = error
    tidy(error)
    assert set(dict(lines_of(error))) == {"raised"}


def test_explanations_that_name_only_our_lines_are_left_out():
    places = [f"        {file}:192" for file in (engine.__file__, np.__file__, linecache.__file__)]
    ours = ["Explanation:", "    These lines were always run:", *places]
    example = "Failing test case: test(x=1)"
    blob = "You can reproduce this example by temporarily adding @reproduce_failure(...)"
    error = raised(wrong)
    error.__notes__ = [example, blob, *ours, "        (and 3 more)"]
    tidy(error)
    assert error.__notes__ == [example, blob]
    error.__notes__ = [example, *ours, "        mine.py:3"]
    tidy(error)
    assert error.__notes__ == [example, *ours[:2], "        mine.py:3"]
    error.__notes__ = [example, blob]
    tidy(error, raised)
    assert error.__notes__ == [blob]


def test_other_errors_are_left_alone():
    assert says_it_all(raised(wrong))
    assert says_it_all(ExceptionGroup("several", [raised(wrong)]))
    assert not says_it_all(ExceptionGroup("several", [raised(wrong), ValueError()]))
    assert not says_it_all(AssertionError())
    assert not says_it_all(None)
