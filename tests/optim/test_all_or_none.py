"""Bad options, gradients and states are refused before anything changes; a step is all or none."""

import copy
import inspect
import pickle

import numpy as np
import pytest

import tinygrad_lab as tl
from tests.interrupts import assert_all_or_none
from tinygrad_lab import nn, optim
from tinygrad_lab.optim.checks import IMPLEMENTATION

OPTIMIZERS = {
    "SGD": {"lr": 0.1},
    "SGD with momentum": {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1},
    "Adagrad": {"lr_decay": 0.1},
    "RMSprop": {"centered": True, "momentum": 0.5},
    "ASGD": {"lambd": 0.1, "t0": 1},
    "Rprop": {},
    "NAdam": {"decoupled_weight_decay": True, "weight_decay": 0.1},
    "Adam": {"amsgrad": True, "weight_decay": 0.1},
    "AdamW": {"maximize": True},
}
every_optimizer = pytest.mark.parametrize("name", OPTIMIZERS)
SETTINGS = {name: getattr(optim, name.split()[0]) for name in OPTIMIZERS}
OPTIONS = [
    (name, option)
    for name, options in OPTIMIZERS.items()
    for option in inspect.signature(SETTINGS[name]).parameters
    if option != "params" and (option not in IMPLEMENTATION or name == "Adam")
]
VALUES = [
    np.nan, np.inf, -np.inf, -1, -0.5, 0, 0.0, 1, 2, 1e400, 10**400, 1j, "x", "", b"1", None, [],
    (), {}, True, False, np.True_, np.float32(0.5), np.float64(np.nan), np.int64(-3), np.array(0.5),
    np.array([0.1, 0.2]), object(), [0.9, 0.999], (0.9, 1.0), (0.9, None), (0.9,), (np.nan, 0.5),
    (0.5, 0.5, 0.5), tl.tensor(0.1), float, lambda: 0.1, 5e-324, -0.0,
]  # fmt: skip


def make(name, dtype=float):
    """A model after two steps, with its optimizer and the gradients of the third."""
    rng = np.random.default_rng(0)
    model = nn.MLP([2, 3, 1], "tanh", None, dtype=dtype, rng=0)
    optimizer = SETTINGS[name](model.parameters(), **OPTIMIZERS[name])
    for step in range(3):
        for p in model.parameters():
            p.grad = rng.normal(size=p.shape).astype(dtype)
        if step < 2:
            optimizer.step()
    return model, optimizer


def snapshot(subject):
    model, optimizer = subject
    return copy.deepcopy((model.state_dict(), optimizer.state_dict()))


def same(a, b):
    return pickle.dumps(a) == pickle.dumps(b)


@pytest.mark.parametrize(("name", "option"), OPTIONS)
def test_an_option_is_refused_or_works_wherever_it_is_set(name, option):
    """At construction, on load, and by hand: the same values are refused, and nothing moves."""
    for value in VALUES:
        subject = model, optimizer = make(name)
        before = snapshot(subject)

        def by_hand(optimizer=optimizer, value=value):
            optimizer.param_groups[0][option] = value
            optimizer.step()

        def on_load(optimizer=optimizer, value=value):
            state = optimizer.state_dict()
            state["param_groups"][0][option] = value
            optimizer.load_state_dict(state)

        def at_construction(model=model, value=value):
            SETTINGS[name](model.parameters(), **{**OPTIMIZERS[name], option: value})

        refused = []
        for way in (at_construction, on_load, by_hand):
            try:
                way()
            except ValueError as error:
                assert option in str(error), (value, way)  # noqa: PT017 - a part of the outcome
                refused.append(True)
                if way is not by_hand:
                    assert same(snapshot(subject), before)
            else:
                refused.append(False)
        assert len(set(refused)) == 1, (value, refused)
        if refused[2]:
            optimizer.param_groups[0][option] = before[1]["param_groups"][0][option]
            assert same(snapshot(subject), before), value
        else:
            assert all(np.isfinite(p.data).all() for p in model.parameters()), value


def test_what_is_put_into_a_group_by_hand_is_looked_at():
    _, optimizer = make("SGD")
    group = optimizer.param_groups[0]
    group["Lr"] = 0.1
    with pytest.raises(ValueError, match="SGD has no option 'Lr'"):
        optimizer.step()
    del group["Lr"], group["momentum"]
    with pytest.raises(ValueError, match="no 'momentum', which SGD needs"):
        optimizer.step()
    group["momentum"] = 0.5
    optimizer.step()
    _, optimizer = make("Adam")
    betas = optimizer.param_groups[0]["betas"] = [0.5, 0.9]
    optimizer.step()
    betas[1] = 2.0  # the list is the user's own, and was copied
    optimizer.step()
    extra = nn.Parameter([1.0])
    optimizer.param_groups.append({**optimizer.param_groups[0], "params": [extra], "lr": -1})
    with pytest.raises(ValueError, match="lr=-1"):
        optimizer.step()


SCHEDULES = [
    (optim.StepLR, "step_size"), (optim.StepLR, "gamma"),
    (optim.CosineAnnealingLR, "T_max"), (optim.CosineAnnealingLR, "eta_min"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "argument"), SCHEDULES)
def test_a_schedule_refuses_its_arguments_or_works(kind, argument):
    good = {"step_size": 2} if kind is optim.StepLR else {"T_max": 3}
    for value in VALUES:
        model, optimizer = make("SGD")
        try:
            schedule = kind(optimizer, **{**good, argument: value})
        except ValueError as error:
            assert f"{argument}=" in str(error)  # noqa: PT017 - a part of the outcome
            continue
        for _ in range(7):
            optimizer.step()
            schedule.step()
        assert np.isfinite(schedule.get_last_lr()).all()
        assert all(np.isfinite(p.data).all() for p in model.parameters())
    with pytest.raises(TypeError, match="first argument is the optimizer"):
        kind(0.1, 3)


def test_a_schedule_of_an_optimizer_that_has_more_groups_by_now():
    _, optimizer = make("SGD")
    schedule = optim.StepLR(optimizer, 1)
    optimizer.add_param_group({"params": [nn.Parameter([1.0])]})
    with pytest.raises(ValueError, match="had 1 groups"):
        schedule.step()
    assert (schedule.last_epoch, schedule.get_last_lr()) == (0, [0.1, 0.1])


# -- states -----------------------------------------------------------------------------------

JUNK = [None, "x", -1, 2.5, np.nan, True, [], {}, (), np.ones(2), np.array(1), 10**30, object()]


def paths(value, path=()):
    yield path
    items = value.items() if isinstance(value, dict) else ()
    if isinstance(value, (list, tuple)):
        items = enumerate(value)
    for key, part in items:
        yield from paths(part, (*path, key))


def corrupted(state):
    """States with one thing wrong each, and what was done to them."""
    for path in paths(state):
        for junk in JUNK:
            yield f"{path} = {junk!r}", changed(state, path, lambda _, junk=junk: junk)
        if path:
            yield f"del {path}", changed(state, path, None)
        part = state
        for key in path:
            part = part[key]
        if isinstance(part, dict):
            yield f"{path} and more", changed(state, path, lambda d: {**d, "more": 1})
        if isinstance(part, list):
            yield f"{path} longer", changed(state, path, lambda x: [*x, 5])
        if isinstance(part, np.ndarray):
            for change in (
                lambda a: a.astype(int), lambda a: a.astype(np.float32),
                lambda a: a.astype(complex), lambda a: a.astype(object),
                lambda a: a.astype(str), lambda a: a[None],
                lambda a: a.ravel()[:1], list, lambda a: tl.tensor(a),
            ):  # fmt: skip
                yield f"{path} of another kind", changed(state, path, change)


def changed(state, path, change):
    if not path:
        return change(state)
    twin = copy.deepcopy(state)
    part = twin
    for key in path[:-1]:
        if isinstance(part[key], tuple):
            part[key] = list(part[key])
        part = part[key]
    if change is None:
        del part[path[-1]]
    else:
        part[path[-1]] = change(part[path[-1]])
    return twin


@every_optimizer
def test_a_corrupted_state_is_refused_or_works(name):
    subject = model, optimizer = make(name)
    other, number = make(name)[1], 0
    good = other.state_dict()
    before = snapshot(subject)
    for what, state in corrupted(good):
        number += 1
        try:
            optimizer.load_state_dict(state)
        except (TypeError, ValueError):
            assert same(snapshot(subject), before), what
        else:
            optimizer.step()
            assert all(np.isfinite(p.data).all() for p in model.parameters()), what
            subject = model, optimizer = make(name)
    assert number > 100
    optimizer.load_state_dict(good)


@every_optimizer
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s["state"][0].update(more=1), r"state\[0\] must hold"),
        (lambda s: s["state"].update({7: {}}), r"parameters \[7\]"),
        (lambda s: s["param_groups"][0].pop("lr"), r"param_groups\[0\].*no 'lr'"),
        (lambda s: s["param_groups"][0].update(lr=-1), r"param_groups\[0\].*lr=-1"),
        (lambda s: s["param_groups"][0].update(speed=1), r"param_groups\[0\].*'speed'"),
        (lambda s: s["param_groups"][0]["params"].reverse(), r"numbered \[3, 2, 1, 0\]"),
        (lambda s: s.pop("state"), "dict of 'state' and 'param_groups'"),
    ],
)
def test_a_state_is_refused_with_what_is_wrong_and_where(name, change, message):
    _, optimizer = make(name)
    state = optimizer.state_dict()
    if name == "SGD":
        state["state"][0] = {}
    change(state)
    with pytest.raises(ValueError, match=message):
        optimizer.load_state_dict(state)


@every_optimizer
def test_a_state_that_went_through_json_keys_goes_on(name):
    _, optimizer = make(name)
    state = optimizer.state_dict()
    state["state"] = {str(key): value for key, value in state["state"].items()}
    optimizer.load_state_dict(state)
    assert same(optimizer.state_dict(), make(name)[1].state_dict())


def test_a_schedule_that_ended_at_0_can_be_loaded():
    _, optimizer = make("SGD")
    schedule = optim.CosineAnnealingLR(optimizer, 2)
    schedule.step()
    schedule.step()
    optimizer.step()
    assert optimizer.param_groups[0]["lr"] == 0
    optimizer.load_state_dict(optimizer.state_dict())


# -- steps ------------------------------------------------------------------------------------


@every_optimizer
def test_an_interrupted_step_has_moved_all_or_none(name):
    assert_all_or_none(lambda: make(name), lambda subject: subject[1].step(), snapshot, stride=3)


@every_optimizer
def test_an_interrupted_load_has_loaded_all_or_none(name):
    state = make(name)[1].state_dict()
    state["param_groups"][0]["lr"] = 0.5
    state["state"] = {
        i: {k: v if isinstance(v, int) else v * 2 for k, v in entries.items()}
        for i, entries in state["state"].items()
    }
    assert_all_or_none(
        lambda: make(name), lambda subject: subject[1].load_state_dict(state), snapshot, stride=19
    )


def test_an_interrupted_load_or_conversion_of_a_module_is_all_or_none():
    class Net(nn.Module):
        def __init__(self, rng):
            self.layers = [nn.Linear(2, 1, rng=rng)]
            self.running = np.full(3, float(rng))

    def dtypes(net):
        return [(p.dtype, p.grad) for p in net.parameters()], net.running.dtype

    assert_all_or_none(lambda: Net(0), lambda net: net.to(np.float32), dtypes, stride=13)
    state = Net(1).state_dict()
    load = lambda net: net.load_state_dict(state)
    assert_all_or_none(lambda: Net(0), load, Net.state_dict, stride=13)


def test_interrupted_clipping():
    for clip in (optim.clip_grad_norm_, optim.clip_grad_value_):
        assert_all_or_none(
            lambda: list(make("SGD")[0].parameters()),
            lambda parameters, clip=clip: clip(parameters, 0.1),
            lambda parameters: [p.grad.copy() for p in parameters],
        )


@every_optimizer
def test_an_error_in_the_middle_moves_nothing(name):
    for spoil, error in [
        (lambda p: setattr(p, "data", np.ones(7)), ValueError),
        (lambda p: setattr(p, "data", p.data.astype(np.float32)), None),
        (lambda p: setattr(p.node, "grad", np.ones((5, 5))), ValueError),
        (lambda p: setattr(p.node, "grad", p.grad * 1j), TypeError),
    ]:
        subject = model, optimizer = make(name)
        spoil(list(model.parameters())[2])
        before = snapshot(subject)
        keeps = optimizer.entries and name != "SGD"
        if error is None and not keeps:
            optimizer.step()
            assert list(model.parameters())[2].dtype == np.float32
            continue
        with pytest.raises(error or ValueError):
            optimizer.step()
        assert same(snapshot(subject), before)


@every_optimizer
def test_arithmetic_errors_and_warnings_cannot_split_a_step(name):
    for how in ("raise", "warn"):
        subject = model, optimizer = make(name)
        list(model.parameters())[2].grad[:] = 1e200
        before = snapshot(subject)
        with np.errstate(all=how):
            try:
                optimizer.step()
            except (FloatingPointError, RuntimeWarning):
                assert same(snapshot(subject), before)
            else:
                state = optimizer.state_dict()["state"]
                for i, entries in before[1]["state"].items():
                    assert not same(state[i], entries)


@every_optimizer
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gradients_of_other_floats_and_integers_are_taken_in_the_parameters_dtype(name, dtype):
    model, optimizer = make(name, dtype)
    for p, other in zip(model.parameters(), (int, np.float16, np.float64, bool), strict=True):
        p.grad = np.ones(p.shape, other)
    optimizer.step()
    assert {p.dtype for p in model.parameters()} == {np.dtype(dtype)}
    optimizer.load_state_dict(optimizer.state_dict())


@every_optimizer
def test_read_only_arrays_and_numbers_move_too(name):
    a, b = nn.Parameter([1.0, 2.0]), nn.Parameter(3.0)
    a.data.flags.writeable = False
    optimizer = SETTINGS[name]([a, b], **OPTIMIZERS[name])
    for _ in range(3):
        a.grad, b.grad = np.ones(2), np.array(1.0)
        optimizer.step()
    assert not np.isin(a.data, [1.0, 2.0]).any()
    assert isinstance(b.data, np.ndarray)
    assert b.data != 3
    optimizer.load_state_dict(optimizer.state_dict())


@every_optimizer
def test_a_frozen_parameter_stays_and_goes_on_when_it_is_freed(name):
    model, optimizer = make(name)
    first = next(model.parameters())
    before, g = first.data.copy(), first.grad
    first.requires_grad_(False)
    optimizer.step()
    np.testing.assert_array_equal(first.data, before)
    optimizer.zero_grad()
    first.requires_grad_(True)
    first.grad = g
    optimizer.step()
    assert (first.data != before).any()
