"""The mutation score of a test, and the faults it is made of."""

import builtins
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_lab as tl
from tinygrad_lab import testing as tgt
from tinygrad_lab.core.operations import OPERATIONS, defvjp_variadic
from tinygrad_lab.testing.judging.arrays import Arguments
from tinygrad_lab.testing.mutation.faults import EVERYWHERE
from tinygrad_lab.testing.mutation.observed import Watch, planted_at
from tinygrad_lab.testing.mutation.places import rules_of_users
from tinygrad_lab.testing.session import current_session

X = np.array([0.5, 1.0])
BUILD = builtins.__build_class__
WHOLE = list(EVERYWHERE)


@tl.primitive
def halved(x):
    return x / 2


tl.defvjp(halved, lambda g, y, x: g / 2)


@tl.primitive
def total(*xs):
    return np.add(*xs)


defvjp_variadic(total, lambda argnum, g, y, *xs: g)


def by_hand(name="sine"):
    return tgt.adapters.numpy(lambda x: np.sin(x), lambda g, x: g * np.cos(x), name=name)


def checks(f, *inputs, **options):
    return lambda: tgt.gradcheck(f, *(inputs or (X,)), **options)


# ---------------------------------------------------------------------------------------------
# One fault


def place_of(op):
    return next(place for place in rules_of_users() if place.owner is op)


@pytest.mark.parametrize("fault", WHOLE)
def test_a_planted_fault_is_noticed_and_gone_afterwards(fault):
    right = OPERATIONS[halved]
    with planted_at(place_of(halved), EVERYWHERE[fault]):
        report = tgt.gradcheck(halved, X, raises=False)
    assert report.verdict == "fail"
    assert OPERATIONS[halved] is right
    assert tgt.gradcheck(halved, X).passed


def test_a_rule_that_a_test_replaces_stays_replaced():
    @tl.primitive
    def twice(x):
        return 2 * x

    tl.defvjp(twice, lambda g, y, x: g)
    with planted_at(place_of(twice), EVERYWHERE["zeroed"]):
        tl.defvjp(twice, lambda g, y, x: 2 * g)
    assert tgt.gradcheck(twice, X).passed


def test_a_rule_of_any_number_of_arguments_is_wrong_by_all_of_them():
    assert place_of(total).label == "total"
    with planted_at(place_of(total), EVERYWHERE["sign flipped"]):
        x = tl.tensor(X, requires_grad=True)
        total(x, x).sum().backward()
    np.testing.assert_array_equal(x.grad, [-2, -2])


def places_reached(run):
    watch = Watch([])
    with watch.test("test"):
        run()
    return list(watch.places)


def test_an_upstream_taken_for_one_in_a_gradient_by_hand():
    subject = by_hand().subject(Arguments((X,), (0,)))
    [place] = places_reached(lambda: subject.record([X]).pull([X]))
    assert place.label == "sine, by x"
    with planted_at(place, EVERYWHERE["upstream taken for 1"]) as effect:
        np.testing.assert_array_equal(subject.record([X]).pull([X])[0], np.cos(X))
    assert effect.changed
    np.testing.assert_array_equal(subject.record([X]).pull([X])[0], X * np.cos(X))


def test_one_gradient_of_several_is_made_wrong():
    product = tgt.adapters.numpy(np.multiply, lambda g, a, b: (g * b, g * a), name="product")
    subject = product.subject(Arguments((X, X + 1), (0, 1)))
    run = lambda: subject.record([X, X + 1]).pull([np.ones(2)])
    _, by_b = places_reached(run)
    with planted_at(by_b, EVERYWHERE["zeroed"]):
        first, second = run()
    np.testing.assert_array_equal(first, X + 1)
    np.testing.assert_array_equal(second, [0, 0])


def test_nothing_is_in_the_way_where_nothing_is_planted():
    assert current_session().interceptors == ()
    recorded = by_hand().subject(Arguments((X,), (0,))).record([X])
    assert "mutation" not in recorded.pull.__module__


# ---------------------------------------------------------------------------------------------
# The score


def test_a_good_test_scores_one():
    score = tgt.mutation_score(checks(by_hand()), faults=WHOLE)
    assert (score.noticed, score.total, score.score, score.missed) == (6, 6, 1.0, [])
    assert score.reached == ["sine, by x"]


def test_a_weak_test_is_told_what_it_misses():
    def only_at_one():
        """Compare the gradient with 1, at an upstream of 1, of a single element."""
        x = np.zeros(())
        [g] = by_hand().subject(Arguments((x,), (0,))).record([x]).pull([np.ones(())])
        assert abs(g - 1) < 1e-2

    score = tgt.mutation_score(only_at_one, faults=WHOLE)
    assert [fault for _, fault in score.missed] == [
        "0.1 % too large",
        "upstream taken for 1",
        "averaged over the elements",
    ]
    assert score.score == 0.5
    assert "sine, by x  missed: 0.1 % too large, upstream" in str(score)
    assert str(score).startswith("3 of 6 planted faults noticed (50 %)")


def test_rules_of_the_table_and_faults_can_be_chosen():
    f = lambda x: np.exp(halved(x)) * np.sin(x)
    assert tgt.mutation_score(checks(f)).reached == ["halved, by argument 0"]
    chosen = tgt.mutation_score(checks(f), ops=[np.exp, np.sin], faults=["zeroed"])
    assert chosen.total == chosen.noticed == 2
    assert sorted(chosen.reached) == ["exp, by argument 0", "sin, by argument 0"]


def test_adapted_functions_can_be_chosen():
    def both():
        tgt.gradcheck(by_hand("one"), X)
        tgt.gradcheck(by_hand("other"), X, properties="well_formed")

    assert tgt.mutation_score(both, faults=WHOLE).score == 0.5
    assert tgt.mutation_score(both, ops=["one"], faults=WHOLE).score == 1
    assert tgt.mutation_score(both, ops=[by_hand("other")], faults="zeroed").score == 0


def test_two_functions_of_one_name_are_told_apart():
    def both():
        tgt.gradcheck(tgt.adapters.numpy(lambda x: x * x, lambda g, x: 2 * g * x), X)
        tgt.gradcheck(
            tgt.adapters.numpy(lambda x: 3 * x, lambda g, x: 3 * g), X, properties="well_formed"
        )

    score = tgt.mutation_score(both, faults=WHOLE)
    assert score.total == 12
    assert score.noticed == 6
    assert all("test_mutation.py" in label for label in score.reached)


def test_hypothesis_tests():
    few = settings(max_examples=5)

    @few
    @given(st.floats(0.25, 2))
    def test_exact(x):
        tgt.gradcheck(by_hand(), np.array([x, 1.0]))

    @tgt.gradtest(using=few, properties="numbers")
    def test_generated(x):
        return halved(x)

    before = test_generated._hypothesis_internal_use_settings
    assert tgt.mutation_score(test_exact, faults=["doubled", "zeroed"]).score == 1
    missed = tgt.mutation_score(test_generated, faults=["averaged over the elements"]).missed
    assert set(missed) <= {("halved, by argument 0", "averaged over the elements")}
    assert test_generated._hypothesis_internal_use_settings is before


def test_outcomes_of_pytest_are_noticed():
    def test():
        if not tgt.gradcheck(by_hand(), X, raises=False).passed:
            pytest.fail("wrong")

    assert tgt.mutation_score(test, faults=WHOLE).score == 1


def test_nothing_reached_is_no_score():
    score = tgt.mutation_score(lambda: None)
    assert score.score is None
    assert score.total == 0
    assert "no fault was planted" in str(score)


def test_printing_while_faults_are_planted_is_not_shown(capsys):
    def test():
        print("looking")
        tgt.gradcheck(by_hand(), X)

    tgt.mutation_score(test)
    assert capsys.readouterr().out.split() == ["looking"] * 2


def test_a_test_that_fails_as_it_is():
    def test():
        raise AssertionError("before anything")

    with pytest.raises(ValueError, match=r"fails as it is.*AssertionError: before anything"):
        tgt.mutation_score(test)


def test_a_test_that_passes_only_once():
    runs = []

    def test():
        runs.append(1)
        assert len(runs) == 1

    with pytest.raises(ValueError, match="fails when it is run a second time"):
        tgt.mutation_score(test)


def test_a_test_with_arguments():
    def test_sine(gradcheck):
        gradcheck(by_hand(), X)

    with pytest.raises(TypeError, match=r"test_sine\(gradcheck\) takes some.*a lambda"):
        tgt.mutation_score(test_sine)


def test_what_does_not_exist_cannot_be_chosen():
    with pytest.raises(ValueError, match="no fault is called tripled; there are sign flipped"):
        tgt.mutation_score(checks(by_hand()), faults=["tripled"])
    with pytest.raises(ValueError, match="len has no rule"):
        tgt.mutation_score(checks(by_hand()), ops=[len])


def test_an_interrupt_is_passed_on_and_everything_is_put_back():
    right, runs = OPERATIONS[halved], []

    def test():
        runs.append(1)
        if len(runs) == 3:
            raise KeyboardInterrupt
        tgt.gradcheck(lambda x: halved(x) * x, X)

    with pytest.raises(KeyboardInterrupt):
        tgt.mutation_score(test)
    assert OPERATIONS[halved] is right
    assert current_session().interceptors == ()


@pytest.mark.oracle
@pytest.mark.parametrize("name", ["torch", "jax", "autograd"])
def test_gradients_of_other_libraries(name):
    m = pytest.importorskip({"torch": "torch"}.get(name, f"{name}.numpy"))
    adapted = getattr(tgt.adapters, name)(lambda x, w: m.tanh(x) * w, name="gate")
    score = tgt.mutation_score(checks(adapted, X, X + 1), faults=WHOLE)
    assert score.score == 1
    assert score.reached == ["gate, by x", "gate, by w"]


# ---------------------------------------------------------------------------------------------
# Where no adapter is


class Scale:
    """A layer as courses write them."""

    def __init__(self, factor=3.0):
        self.params, self.grads = {"k": np.array([factor])}, {}

    def forward(self, x):
        self.x = x
        return x * self.params["k"]

    def backward(self, dout):
        self.grads["k"] = np.array([np.sum(dout * self.x)])
        return dout * self.params["k"]


def pass_through(layer, x, g):
    layer.forward(x)
    return layer.backward(g)


def test_a_class_with_a_backward_pass():
    own = Scale.backward

    def weak():
        layer = Scale()
        assert pass_through(layer, X, X).shape == X.shape
        assert np.isclose(layer.grads["k"][0], np.sum(X * X))

    score = tgt.mutation_score(weak, faults=["doubled", "upstream taken for 1"])
    returned, k = "Scale, what its backward pass returns", "Scale, grads['k']"
    assert score.reached == [returned, k]
    assert score.missed == [(returned, "doubled"), (returned, "upstream taken for 1")]
    assert "  tgt.gradcheck(tgt.adapters.layer(Scale), np.array([0.5, 1.0]))" in str(score)
    assert Scale.backward is own


def test_a_class_that_the_test_itself_defines():
    def test():
        class Twice:
            def forward(self, x):
                return 2 * x

            def backward(self, dout):
                return 2 * dout

        np.testing.assert_array_equal(pass_through(Twice(), X, X), 2 * X)

    score = tgt.mutation_score(test, faults=WHOLE)
    assert score.reached == ["Twice, what its backward pass returns"]
    assert score.score == 1


class Loss:
    """A loss: nothing flows into it, and it cannot be copied."""

    def __init__(self):
        self.lock = threading.Lock()

    def forward(self, x, y):
        self.d = x - y
        return 0.5 * np.sum(self.d**2)

    def backward(self):
        return self.d


def test_a_loss_has_no_upstream():
    def test():
        loss = Loss()
        loss.forward(X, X + 1)
        np.testing.assert_array_equal(loss.backward(), -1)

    score = tgt.mutation_score(test, faults=["sign flipped", "upstream taken for 1"])
    assert (score.noticed, score.total) == (1, 1)


def test_an_upstream_by_name():
    def test():
        layer = Scale()
        layer.forward(X)
        np.testing.assert_array_equal(layer.backward(dout=X), 3 * X)

    score = tgt.mutation_score(test, faults=["upstream taken for 1"])
    assert score.missed == [("Scale, grads['k']", "upstream taken for 1")]


def test_a_class_in_an_adapter_counts_once():
    layer = tgt.adapters.layer(Scale)
    score = tgt.mutation_score(checks(layer, properties="numbers"), faults=["doubled"])
    assert score.reached == ["Scale, by x", "Scale, by k"]


def test_composed_code():
    def gate(x):
        inside = np.exp(x)
        return inside * np.sin(x)

    score = tgt.mutation_score(checks(gate))
    assert score.score == 1
    line = gate.__code__.co_firstlineno
    assert score.reached == [
        f"the gradient through multiply at test_mutation.py:{line + 2}",
        f"the gradient through sin at test_mutation.py:{line + 2}",
        f"the gradient through exp at test_mutation.py:{line + 1}",
    ]


@pytest.mark.oracle
def test_a_function_of_pytorch_by_itself():
    torch = pytest.importorskip("torch")

    class Softplus(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return torch.nn.functional.softplus(x)

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return g * torch.sigmoid(x)

    own = Softplus.backward

    def test():
        x = torch.tensor(X, requires_grad=True)
        assert torch.autograd.gradcheck(Softplus.apply, x)

    faults = ["doubled", "0.1 % too large", "wrong where the input is negative"]
    score = tgt.mutation_score(test, faults=faults)
    assert score.reached == ["Softplus, by x"]
    assert [fault for _, fault in score.missed] == faults[1:]
    assert "tgt.gradcheck(tgt.adapters.torch(Softplus), np.array([-0.5]))" in str(score)
    assert Softplus.backward is own
    adapted = checks(tgt.adapters.torch(Softplus), properties="numbers")
    assert tgt.mutation_score(adapted, faults=faults).reached == ["Softplus, by x"]


# ---------------------------------------------------------------------------------------------
# What is left behind


def test_everything_is_put_back_after_an_interrupt():
    right, own, runs = OPERATIONS[halved], Scale.backward, []

    def test():
        runs.append(1)
        if len(runs) == 3:
            raise KeyboardInterrupt
        pass_through(Scale(), X, X)
        tgt.gradcheck(halved, X, properties="numbers")

    with pytest.raises(KeyboardInterrupt):
        tgt.mutation_score(test, faults=WHOLE)
    assert OPERATIONS[halved] is right
    assert Scale.backward is own
    assert builtins.__build_class__ is BUILD


def test_a_score_within_a_test_that_is_scored():
    def inner():
        tgt.gradcheck(by_hand("inner"), X, properties="numbers")

    def outer():
        assert tgt.mutation_score(inner, faults=["doubled"]).score == 1
        tgt.gradcheck(by_hand("outer"), X, properties="numbers")

    score = tgt.mutation_score(outer, faults=["doubled"], ops=["outer"])
    assert score.score == 1
    assert current_session().interceptors == ()


def test_two_threads_do_not_meet():
    scores = []
    one = lambda: scores.append(tgt.mutation_score(checks(halved), faults=["doubled"]).score)
    threads = [threading.Thread(target=one) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert scores == [1, 1]
    assert tgt.gradcheck(halved, X).passed


def test_a_budget_is_kept():
    score = tgt.mutation_score(checks(by_hand()), budget=1e-9)
    assert score.score is None
    assert score.not_planted > len(WHOLE)
    assert "faults were not planted: the budget was spent" in str(score)
