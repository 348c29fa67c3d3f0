"""Training: what comes out, what is logged, and many seeds at once: the same computation."""

import re
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_lab as tl
import tinygrad_lab.nn.functional as fn
from tinygrad_lab.lab import DivergedError, Settings, train, train_many
from tinygrad_lab.lab.settings import ACTIVATIONS, INITS, LOSSES, OPTIMIZERS
from tinygrad_lab.lab.training import closing_line, log_line, prediction_table, prepare

ADAM = Settings(optimizer="adam", lr=0.1, epochs=500)


def by_hand(setting, seed):
    """Gradient descent on report B's network with back-propagation written out in NumPy."""
    data, model = prepare(setting, seed)
    w1, w2, w3 = (p.data.copy() for p in model.parameters())
    losses = []
    for _ in range(setting.epochs + 1):
        a1 = 1 / (1 + np.exp(-data.x @ w1.T))
        a2 = 1 / (1 + np.exp(-a1 @ w2.T))
        a3 = 1 / (1 + np.exp(-a2 @ w3.T))
        losses.append(np.mean((a3 - data.y) ** 2))
        d3 = 2 * (a3 - data.y) * a3 * (1 - a3)
        d2 = d3 @ w3 * a2 * (1 - a2)
        d1 = d2 @ w2 * a1 * (1 - a1)
        scale = setting.lr if setting.reduction == "sum" else setting.lr / len(data.y)
        w1, w2, w3 = (
            w - scale * (d.T @ a) for w, d, a in ((w1, d1, data.x), (w2, d2, a1), (w3, d3, a2))
        )
    return np.array(losses)


@pytest.mark.parametrize("reduction", ["sum", "mean"])
@pytest.mark.parametrize("data", ["linear", "xor"])
def test_equals_back_propagation_by_hand(data, reduction):
    setting = Settings(data=data, hidden=(3, 3), bias=False, reduction=reduction, epochs=60)
    np.testing.assert_allclose(train(setting, seed=2).losses, by_hand(setting, 2), rtol=1e-10)


def test_report_a_descends_by_two_times_the_error():
    """One layer is enough to see it: ∂L/∂Z = 2(A − y), with no slope of the sigmoid."""
    setting = Settings(hidden=(1,), loss="report-a", lr=0.3, epochs=1, reduction="mean")
    data, model = prepare(setting, 4)
    w1, b1, w2, b2 = (p.data.copy() for p in model.parameters())
    a1 = 1 / (1 + np.exp(-(data.x @ w1.T + b1)))
    a2 = 1 / (1 + np.exp(-(a1 @ w2.T + b2)))
    step = 0.3 * 2 * (a2 - data.y) / len(data.y)
    after = train(setting, seed=4).weights
    np.testing.assert_allclose(after["layers.2.weight"], w2 - step.T @ a1, rtol=1e-12)
    np.testing.assert_allclose(after["layers.2.bias"], b2 - step.sum(axis=0), rtol=1e-12)


def some_settings(learning_rates, epochs):
    return st.builds(
        lambda place, **others: Settings(**place, **others),
        place=st.just({"data": "xor"})
        | st.fixed_dictionaries({"data": st.just("linear"), "n": st.integers(1, 30)}),
        hidden=st.lists(st.integers(1, 5), min_size=1, max_size=3).map(tuple),
        activation=st.sampled_from(ACTIVATIONS),
        output_activation=st.just("sigmoid"),
        bias=st.booleans(),
        init=st.sampled_from(INITS),
        loss=st.sampled_from(LOSSES),
        reduction=st.sampled_from(["mean", "sum"]),
        optimizer=st.sampled_from(OPTIMIZERS),
        lr=st.sampled_from(learning_rates),
        epochs=st.integers(1, epochs),
    )


OPTIMIZER_CLASSES = {
    "sgd": tl.optim.SGD,
    "momentum": partial(tl.optim.SGD, momentum=0.9),
    "adagrad": tl.optim.Adagrad,
    "rmsprop": tl.optim.RMSprop,
    "adam": tl.optim.Adam,
    "adamw": tl.optim.AdamW,
}


def plainly(setting, seed):
    """The errors on the way, by a loop over one model: no vmap, nothing recorded, no stacks."""
    data, model = prepare(setting, seed)
    optimizer = OPTIMIZER_CLASSES[setting.optimizer](model.parameters(), lr=setting.lr)
    errors = []
    for _ in range(setting.epochs + 1):
        scores = model(tl.Tensor(data.x))
        outputs = scores if setting.loss == "mse" else fn.sigmoid(scores)
        errors.append(fn.mse_loss(outputs, data.y).item())
        if setting.loss == "mse":
            loss = fn.mse_loss(scores, data.y, reduction=setting.reduction)
        else:
            loss = fn.binary_cross_entropy_with_logits(
                scores, data.y, reduction=setting.reduction
            ) * (2 if setting.loss == "report-a" else 1)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return errors


# At 0.01 a linear network can diverge by its summed gradients, and rounding with it.
@settings(max_examples=15)
@given(setting=some_settings([0.001], epochs=25), seed=st.integers(0, 99))
def test_equals_a_plain_loop_over_one_model(setting, seed):
    np.testing.assert_allclose(train(setting, seed).losses, plainly(setting, seed), rtol=1e-9)


@settings(max_examples=12)
@given(
    setting=some_settings([0.001, 0.3], epochs=12),
    seeds=st.lists(st.integers(0, 99), min_size=2, max_size=7, unique=True),
)
def test_a_seed_ends_the_same_to_the_last_bit_in_any_company(setting, seeds):
    together = train_many(setting, seeds)[-1]
    if together.diverged_at is not None:
        with pytest.raises(DivergedError, match=f"at epoch {together.diverged_at} "):
            train(setting, seeds[-1])
        return
    alone = train(setting, seeds[-1])
    assert together.accuracy == alone.accuracy
    assert together.test_accuracy == alone.test_accuracy
    for name in ("losses", "accuracies", "prediction"):
        np.testing.assert_array_equal(getattr(together, name), getattr(alone, name))
    for name, weight in together.weights.items():
        np.testing.assert_array_equal(weight, alone.weights[name])


def test_a_snapshot_is_where_a_run_of_so_many_epochs_ends():
    wanted = (0, 1, 7, 20)
    results = train_many(replace(ADAM, epochs=20), [3, 4], snapshots=wanted)
    for result in results:
        assert tuple(result.snapshots) == wanted
        untrained = prepare(result.settings, result.seed)[1].state_dict()
        for name, start in untrained.items():
            np.testing.assert_array_equal(result.snapshots[0][name], start)
            np.testing.assert_array_equal(result.snapshots[20][name], result.weights[name])
    for epochs in wanted[1:]:
        shorter = train_many(replace(ADAM, epochs=epochs), [3, 4])
        for longer, short in zip(results, shorter, strict=True):
            np.testing.assert_array_equal(longer.predict(longer.x, epochs), short.prediction)


def test_the_same_seed_gives_the_same_numbers():
    first, second = train(ADAM, seed=5), train(ADAM, seed=5)
    np.testing.assert_array_equal(first.losses, second.losses)
    np.testing.assert_array_equal(first.prediction, second.prediction)
    assert not np.array_equal(first.losses, train(ADAM, seed=6).losses)


def test_the_data_of_a_seed_do_not_change_its_weights():
    one, other = (prepare(Settings(data="linear", n=n), seed=3)[1] for n in (10, 20))
    for p, q in zip(one.parameters(), other.parameters(), strict=True):
        np.testing.assert_array_equal(p.data, q.data)


def test_weights_start_from_the_standard_normal_and_biases_at_zero():
    weights, biases = [], []
    for seed in range(200):
        for p in prepare(Settings(hidden=(6, 6)), seed)[1].parameters():
            (weights if p.ndim == 2 else biases).append(p.data.ravel())
    drawn = np.concatenate(weights)
    assert abs(drawn.mean()) < 0.05
    assert abs(drawn.std() - 1) < 0.05
    assert not np.concatenate(biases).any()
    assert len(list(prepare(Settings(bias=False), 0)[1].parameters())) == 3


def test_xor_is_solved():
    result = train(replace(ADAM, epochs=1000), seed=1)
    assert result.accuracy == 1.0
    assert result.loss < 1e-3
    assert (result.prediction.round() == result.y).all()


def test_linear_is_solved_on_points_not_seen():
    result = train(Settings(data="linear", optimizer="adam", lr=0.1, epochs=300), seed=0)
    assert result.accuracy == 1.0
    assert result.test_accuracy >= 0.95


def test_the_model_of_a_result_predicts_what_it_predicted():
    for loss in ("mse", "cross-entropy"):
        result = train(replace(ADAM, loss=loss, epochs=20), seed=0)
        np.testing.assert_array_equal(result.predict(result.x), result.prediction)


def test_the_learning_curve_begins_before_the_first_step_and_ends_after_the_last():
    result = train(replace(ADAM, epochs=30), seed=0)
    assert result.epochs.tolist() == list(range(31))
    data, model = prepare(ADAM, 0)
    np.testing.assert_allclose(result.losses[0], np.mean((model(data.x).data - data.y) ** 2))
    np.testing.assert_allclose(result.losses[-1], np.mean((result.prediction - data.y) ** 2))


@pytest.mark.parametrize("threshold", ["half", "median"])
@pytest.mark.parametrize("loss", ["mse", "report-a"])
def test_the_accuracy_on_the_curve_is_that_of_a_run_which_ends_there(threshold, loss):
    setting = replace(ADAM, epochs=60, threshold=threshold, loss=loss)
    whole = train_many(setting, [0, 3])
    for epochs in (1, 20, 60):
        ended = train_many(replace(setting, epochs=epochs), [0, 3])
        assert [r.accuracies[epochs] for r in whole] == [r.accuracy for r in ended]
    assert len({*whole[0].accuracies, *whole[1].accuracies}) > 2


@pytest.mark.parametrize("epochs", [1, 499, 1203, 9000])
def test_every_line_of_the_log_is_on_the_curve(epochs):
    epochs_on_curve = []
    setting = Settings(hidden=(1,), epochs=epochs)
    train(setting, on_epoch=lambda epoch, _: epochs_on_curve.append(epoch))
    assert set(range(0, epochs + 1, 500)) <= set(epochs_on_curve)
    assert epochs_on_curve[-1] == epochs
    assert len(epochs_on_curve) <= 502


def test_looking_things_up_on_the_curve():
    result = train(replace(ADAM, epochs=1000), seed=1)
    assert result.loss_at(0) == result.losses[0]
    assert result.loss_at(1000) == result.loss
    reached = result.epochs_to(0.01)
    assert result.loss_at(int(reached)) < 0.01 <= result.losses[result.epochs < reached].min()
    assert result.epochs_to(0.0) == float("inf")


def test_threshold_at_the_median_output():
    setting = Settings(activation="relu", epochs=5, lr=1e-4, hidden=(3,), threshold="median")
    result = train(setting, seed=0)
    above = result.prediction > np.median(result.prediction)
    assert result.accuracy == np.mean(above == (result.y == 1))


# ---- divergence ---------------------------------------------------------------------------------

DIVERGING = Settings(activation="none", lr=5.0, epochs=500, reduction="sum")
LESS = 0.003  # at this rate some of its seeds diverge


def test_a_diverging_run_says_when_and_what_to_do():
    with pytest.raises(DivergedError) as caught:
        train(DIVERGING, seed=0)
    text = str(caught.value)
    assert f"epoch {caught.value.epoch}" in text
    assert "try a learning rate of 0.5, or average the gradients" in text
    assert 0 < caught.value.epoch < 50


def test_among_many_seeds_a_diverging_run_is_a_result():
    alone = []
    for seed in range(6):
        try:
            train(replace(DIVERGING, lr=LESS), seed)
            alone.append(None)
        except DivergedError as error:
            alone.append(error.epoch)
    results = train_many(replace(DIVERGING, lr=LESS), range(6))
    assert [result.diverged_at for result in results] == alone
    assert None in alone  # the seeds show both
    assert any(alone)
    for result in results:
        assert np.isfinite(result.loss) == (result.diverged_at is None)
        if result.diverged_at is not None:
            assert result.accuracy == 11 / 21  # every point is called 0
            assert result.loss_at(result.diverged_at) == float("inf")


# ---- text ---------------------------------------------------------------------------------------


def test_log_line():
    assert log_line(500, 0.010990509556571368) == "epoch 500 loss : 0.010990509556571368"
    assert log_line(500, 0.010990509556571368, digits=6) == "epoch 500 loss : 0.0109905"


def test_prediction_table():
    result = train(ADAM, seed=1)
    lines = prediction_table(result).splitlines()
    assert len(lines) == 22
    for i, (line, label, score) in enumerate(
        zip(lines, result.y.ravel(), result.prediction.ravel(), strict=False), start=1
    ):
        assert line == f"Iter{i} | Ground truth: {int(label)} | prediction: {score:.5f} |"
    assert re.fullmatch(r"loss=0\.\d{10} accuracy=100\.00%", lines[-1])


def test_closing_line_in_the_reports_format():
    assert closing_line(1.487e-7, 20 / 21) == "loss=0.0000001487 accuracy=95.24%"
