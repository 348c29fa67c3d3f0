"""Plans: the trials that a TOML file stands for, and one line for whatever cannot be run."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinygrad_lab.lab.settings import Settings
from tinygrad_lab.lab.sweeps import PlanError, parse_plan, read_plan


def settings_of(text):
    return list(parse_plan(text).settings())


def test_an_empty_plan_is_one_run_of_the_defaults():
    plan = parse_plan("")
    assert (plan.size, list(plan.settings()), list(plan.seeds)) == (1, [Settings()], [0])


def test_a_grid_is_the_product_of_its_lists():
    plan = parse_plan(
        """
        seeds = [3, 5]
        [settings]
        data = "linear"
        output_activation = "none"
        [grid]
        hidden = [[3, 3], [4]]
        lr = [1, 0.5]
        bias = [true, false]
        """
    )
    expected = [
        Settings(data="linear", output_activation="none", hidden=hidden, lr=lr, bias=bias)
        for hidden, lr, bias in itertools.product([(3, 3), (4,)], [1.0, 0.5], [True, False])
    ]
    assert list(plan.settings()) == expected
    assert list(plan.seeds) == [3, 5]
    assert plan.size == len(expected) * 2
    assert isinstance(next(plan.settings()).lr, float)  # 1 and 1.0 are one trial


RANDOM = """
[random]
trials = {trials}
seed = {seed}
lr = {{ log_uniform = [1e-3, 1] }}
epochs = {{ integers = [5, 7] }}
hidden = {{ choice = [[2], [3, 3]] }}
{more}
"""


@given(seed=st.integers(0, 2**63 - 1), trials=st.integers(1, 30))
def test_draws_are_in_their_range_and_the_same_each_time(seed, trials):
    plan = parse_plan(RANDOM.format(trials=trials, seed=seed, more=""))
    drawn = list(plan.settings())
    assert list(plan.settings()) == drawn
    assert plan.size == len(drawn) == trials
    for settings in drawn:
        assert 1e-3 <= settings.lr <= 1
        assert settings.epochs in (5, 6, 7)
        assert settings.hidden in ((2,), (3, 3))


def test_more_draws_begin_with_the_same_ones():
    few, many = (settings_of(RANDOM.format(trials=n, seed=1, more="")) for n in (5, 50))
    assert many[:5] == few
    assert settings_of(RANDOM.format(trials=5, seed=2, more="")) != few


def test_the_draws_of_a_setting_do_not_depend_on_the_others():
    more = 'data = { choice = ["linear", "xor"] }'
    few, many = (settings_of(RANDOM.format(trials=9, seed=1, more=m)) for m in ("", more))
    assert [s.lr for s in few] == [s.lr for s in many]


def test_the_draws_of_two_settings_have_nothing_to_do_with_each_other():
    text = """
    settings.data = "moons"
    random = { trials = 500, lr = { uniform = [0.1, 1] }, noise = { uniform = [0.1, 1] } }
    """
    pairs = np.array([(s.lr, s.noise) for s in settings_of(text)])
    assert abs(np.corrcoef(pairs.T)[0, 1]) < 0.15  # more than 3 standard deviations


def test_a_log_uniform_draw_is_uniform_in_its_logarithm():
    rates = [s.lr for s in settings_of(RANDOM.format(trials=3000, seed=0, more=""))]
    shares = [sum(low <= lr < 10 * low for lr in rates) / 3000 for low in (1e-3, 1e-2, 1e-1)]
    assert all(abs(share - 1 / 3) < 0.05 for share in shares)


def test_each_draw_meets_each_combination_of_the_grid():
    text = RANDOM.format(trials=4, seed=0, more="") + '[grid]\noptimizer = ["sgd", "adam"]\n'
    drawn = settings_of(text)
    assert len(drawn) == 8
    assert [s.lr for s in drawn[::2]] == [s.lr for s in drawn[1::2]]
    assert {s.optimizer for s in drawn} == {"sgd", "adam"}


def test_a_plan_is_counted_without_being_made():
    values = ", ".join(map(str, range(1, 1001)))
    grid = f'data = ["linear"]\nepochs = [{values}]\nn = [{values}]'
    plan = parse_plan(f"seeds = 1000000000\n[grid]\n{grid}")
    assert plan.size == 10**15
    assert next(plan.settings()).epochs == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lr = 0.1", "a.toml: lr means nothing here; write it below [settings]"),
        ("[gird]\nlr = [1]", "a.toml: gird means nothing here; did you mean grid?"),
        ("grid = 5", "a.toml: grid is a section: write [grid]"),
        ("[grid", "a.toml is not TOML: "),
        ("[grid]\nlr = [1]\nlr = [2]", "a.toml is not TOML: "),
        (
            "seeds = 0",
            "a.toml: seeds must be a whole number, at most 9,223,372,036,854,775,807 "
            "and at least 1; got 0",
        ),
        ("seeds = []", "a.toml: seeds needs a list of values, at least one; got []"),
        ("seeds = [1, 1]", "a.toml: seeds has 1 twice"),
        (
            "seeds = [-1]",
            "a.toml: seeds must be a whole number, at most 9,223,372,036,854,775,807 "
            "and at least 0; got -1",
        ),
        ("seeds = true", "at least 1; got true"),
        ("seeds = 1.5", "at least 1; got 1.5"),
        ("[settings]\nseed = 1", "a.toml: [settings] seed means nothing here; write seeds = "),
        ("[grid]\nseeds = [1]", "a.toml: [grid] seeds means nothing here; write seeds = "),
        ("[settings]\nlearning_rate = 1", "a.toml: [settings] learning_rate means nothing here; "),
        ("[settings]\noptimiser = 'sgd'", "did you mean optimizer? There are: data, hidden, "),
        (
            "[settings]\nlr = [1, 2]",
            "[settings] lr takes a number, such as 0.1; got [1, 2]; a list",
        ),
        ("[settings]\nlr = 'fast'", 'lr takes a number, such as 0.1; got "fast"'),
        ("[settings]\nlr = nan", "[settings] lr = nan: the learning rate must be a number above 0"),
        ("[settings]\nepochs = 1e3", "epochs takes a whole number, such as 1000; got 1000.0"),
        ("[settings]\nepochs = true", "epochs takes a whole number, such as 1000; got true"),
        ("[settings]\nbias = 1", "bias takes true or false; got 1"),
        (
            "[settings]\nhidden = 4",
            "hidden takes the units of each hidden layer in a list, such as",
        ),
        ("[settings]\nhidden = []", "[settings] hidden = []: every hidden layer needs"),
        ("[grid]\nhidden = [4, 4]", "[grid] hidden takes the units of each hidden layer in a list"),
        ("[grid]\nlr = []", "[grid] lr needs a list of values, at least one; got []"),
        ("[grid]\nlr = 0.1", "[grid] lr needs a list of values, at least one; got 0.1"),
        ("[grid]\nlr = [1, 1.0]", "[grid] lr has 1.0 twice"),
        ("[grid]\nlr = [0.1, 0]", "[grid] lr = 0: the learning rate must be a number above 0"),
        ("[grid]\nactivation = ['sigmoid', 'rleu']", "did you mean 'relu'?"),
        ("[grid]\nlr = [1]\n[settings]\nlr = 1", "[settings] lr is in [grid] too"),
        ("[random]\nlr = {uniform = [1, 2]}", "[random] needs trials = how often to draw"),
        ("[random]\ntrials = 5", "[random] has no distributions"),
        ("[random]\ntrials = 0\nlr = {uniform = [1, 2]}", "[random] trials must be a whole number"),
        ("[random]\ntrials = 1\nlr = 1", "[random] lr takes { uniform = [low, high] } or "),
        ("[random]\ntrials = 1\nlr = {normal = [1, 2]}", "got { normal = [1, 2] }"),
        ("[random]\ntrials = 1\nlr = {uniform = [2, 1]}", "needs a low end below its high end"),
        ("[random]\ntrials = 1\nlr = {uniform = 1}", "takes { uniform = [low, high] }; got"),
        ("[random]\ntrials = 1\nlr = {log_uniform = [0, 1]}", "[random] lr = 0: the learning rate"),
        ("[random]\ntrials = 1\nepochs = {uniform = [1, 2]}", "epochs takes { integers = "),
        ("[random]\ntrials = 1\nbias = {uniform = [0, 1]}", "bias takes { choice = "),
        ("[random]\ntrials = 1\nlr = {choice = []}", "lr needs a list of values, at least one"),
        (
            f"seeds = {2**63}",
            "a.toml: seeds must be a whole number, at most 9,223,372,036,854,775,807",
        ),
        (f"seeds = [{2**63}]", "a.toml: seeds must be a whole number, at most 9,223,"),
        (
            "[grid]\nloss = ['mse', 'report-a']\nactivation = ['sigmoid', 'tanh']",
            'a.toml: loss = "report-a", activation = "tanh": loss \'report-a\' needs a sigmoid',
        ),
    ],
)
def test_what_cannot_be_run_is_one_line(text, message):
    with pytest.raises(PlanError) as error:
        list(parse_plan(text, "a.toml").settings())
    assert message in str(error.value)
    assert str(error.value).startswith("a.toml")


def test_a_file_that_cannot_be_read(tmp_path):
    with pytest.raises(PlanError, match=r"cannot read .*missing\.toml: No such file"):
        read_plan(tmp_path / "missing.toml")
    with pytest.raises(PlanError, match=r"cannot read .*: Is a directory"):
        read_plan(tmp_path)
    (tmp_path / "a.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(PlanError, match=r"a\.toml is not TOML: it is not text in UTF-8"):
        read_plan(tmp_path / "a.toml")
