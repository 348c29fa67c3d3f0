"""Formulas of local rules: those of the textbook agree with the rules, a user's is shown as is."""

from __future__ import annotations

import re

import numpy as np
import pytest

import tinygrad_lab as tl
from tinygrad_lab.core.rules.mathematical.elementwise import sigmoid
from tinygrad_lab.nn import functional as F
from tinygrad_lab.viz.rules import formula

PLACE = np.array([0.3, 0.8, 1.7])
ELEMENTWISE = [
    np.sqrt, np.log, np.log2, np.log10, np.log1p, np.exp2, sigmoid, np.tanh, np.arctan,
    np.absolute, np.square, np.cos, np.reciprocal, F.relu, F.silu, F.softplus, F.leaky_relu,
]  # fmt: skip


def as_python(text: str) -> str:
    """Turn a formula into what Python computes."""
    text, _, where = text.partition(" with ")
    if " where " in text:
        text, _, condition = text.partition(" where ")
        condition, _, other = condition.partition(", else ")
        text = f"np.where({condition}, {text}, {other})"
    if where:
        name, _, meaning = where.partition(" = ")
        text = re.sub(rf"\b{name}\b", f"({meaning})", text)
    for sign, meaning in (
        ("·", "*"), ("−", "-"), ("²", "**2"), ("^", "**"), ("ln 10", "np.log(10)"),
        ("ln 2", "np.log(2)"), ("ln(", "np.log("),
    ):  # fmt: skip
        text = text.replace(sign, meaning)
    return text


def value_of(text: str, **names: object) -> np.ndarray:
    functions = {n: getattr(np, n) for n in ("sign", "sin", "cos", "exp", "square", "sqrt")}
    known = {"np": np, "sigmoid": sigmoid, "beta": 1.0, "negative_slope": 0.01, **functions}
    return np.asarray(eval(as_python(text), known | names))


@pytest.mark.parametrize("op", ELEMENTWISE, ids=lambda op: op.__name__)
@pytest.mark.parametrize("side", [1.0, -1.0])
def test_formulas_are_what_the_rules_compute(op, side):
    x = PLACE if op in (np.sqrt, np.log, np.log2, np.log10, np.log1p) else PLACE * side
    g = np.array([1.0, -2.0, 0.5])
    y, pullback = tl.vjp(op, x)
    expected = value_of(formula(op, 0).text, g=g, x=x, y=np.asarray(y))
    np.testing.assert_allclose(expected, pullback(g)[0], rtol=1e-12)


@pytest.mark.parametrize("op", [np.multiply, np.divide, np.subtract, np.power, np.matmul])
def test_formulas_of_two_operands(op):
    a, b = np.abs(np.arange(4.0).reshape(2, 2) + 0.5), np.array([[1.0, 2.0], [3.0, 0.5]])
    g = np.array([[1.0, -1.0], [0.5, 2.0]])
    y, pullback = tl.vjp(op, a, b)
    names = dict(zip([formula(op, i).letter for i in range(2)], (a, b), strict=True))
    for i, slope in enumerate(pullback(g)):
        text = formula(op, i).text.replace("ᵀ", ".T")
        expected = value_of(text, g=g, y=np.asarray(y), **names)
        np.testing.assert_allclose(expected, slope, rtol=1e-12)


def test_a_rule_of_the_users_is_shown_as_written():
    @tl.primitive
    def scaled(factor, x):
        return factor * np.sin(x)

    tl.defvjp(scaled, lambda g, y, factor, x: -g * factor * np.cos(x) ** 2, argnums=[1])
    assert formula(scaled, 1) == ("x", "−g · factor · cos(x)²")
    assert formula(scaled, 0) == ("", "")


def test_a_planted_rule_is_not_given_the_textbooks_formula():
    with tl.operations.planted(np.tanh, lambda g, y, x: g * y):
        assert formula(np.tanh, 0).text == "g · y"
    assert formula(np.tanh, 0).text == "g · (1 − y²)"


def test_a_rule_of_several_lines_is_shown_by_what_it_says_of_itself():
    @tl.primitive
    def cubed(x):
        return x**3

    def rule(g, y, x):
        """Three squares.

        And more.
        """
        three = 3 * x
        return g * three * x

    tl.defvjp(cubed, rule)
    assert formula(cubed, 0) == ("x", "Three squares.")


def test_without_a_source_there_is_no_formula():
    op = tl.primitive(lambda x: x)
    tl.defvjp(op, eval("lambda g, y, x: g"))
    assert formula(op, 0) == ("x", "")
    assert formula(len, 0) == ("", "")


def test_helpers_of_ours_are_not_shown():
    assert formula(np.arctan2, 0).text == ""
