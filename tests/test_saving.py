"""Files of models and training states: what goes in comes out, and nothing else is taken."""

import itertools
import json
import os
import pickle
import signal
import subprocess
import sys
import time
import zipfile

import numpy as np
import pytest

import tinygrad_lab as tl
from tinygrad_lab import nn, saving

safetensors = pytest.importorskip("safetensors")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.safetensors"


def same(a, b):
    """Whether two things are the same to the bit, and of the same types."""
    if isinstance(a, dict):
        return type(b) is dict and list(a) == list(b) and all(same(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple)):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, (np.ndarray, np.generic)):
        return (type(a), a.dtype, a.shape) == (type(b), b.dtype, b.shape) and (
            a.tobytes() == b.tobytes()
        )
    return type(a) is type(b) and (a == b or a != a)


ARRAYS = [
    np.array(3), np.zeros((0, 3)), np.arange(6.0).reshape(2, 3).T, np.arange(10)[::3],
    np.array([True, False]), np.array([1 + 2j, -0.0]), np.array([[1j]], np.complex64),
    np.array([np.nan, np.inf, -0.0, 5e-324]), np.arange(3, dtype=np.uint8), np.float16([1.5]),
]  # fmt: skip


@pytest.mark.parametrize("array", ARRAYS, ids=lambda a: f"{a.dtype}{a.shape}")
def test_an_array_comes_back_to_the_bit(path, array):
    for value in ({"a": array}, [array]):
        tl.save(value, path)
        assert same(tl.load(path), value)


def test_a_byte_order_is_the_formats(path):
    tl.save({"a": np.array([1.0, 2.0], ">f8")}, path)
    np.testing.assert_array_equal(tl.load(path)["a"], [1, 2])


def test_a_structure_comes_back(path):
    rng = np.random.default_rng(3)
    value = {
        "rng": rng.bit_generator.state, "old": np.random.MT19937(1).state, "epoch": 3,
        "losses": [1.0, float("nan"), 1e-320], "by number": {0: {"step": np.array(7.0)}, 1: {}},
        "pair": (1, "two", None, True), "number": np.float32(0.1), "z": 1 - 2j, "empty": [],
        "a.b": np.ones(1), "a": {"b": np.zeros(1)}, "": np.ones(2), "text": 'ü"\n',
    }  # fmt: skip
    tl.save(value, path)
    assert same(tl.load(path), value)
    rng.bit_generator.state = tl.load(path)["rng"]


def test_a_model_and_its_state_are_one_file(path, tmp_path):
    model = nn.MLP([2, 3, 1], rng=0)
    tl.save(model, path)
    other = tl.save(model.state_dict(), tmp_path / "b.safetensors")
    assert same(tl.load(path), tl.load(other))
    twin = nn.MLP([2, 3, 1], rng=1)
    assert not any(twin.load_state_dict(tl.load(path)))
    x = np.ones((4, 2))
    np.testing.assert_array_equal(twin(x).data, model(x).data)
    about = saving.metadata(path)
    assert about["versions"] == {"tinygrad_lab": tl.__version__, "numpy": np.__version__}
    assert about["model"]["class"] == "MLP"
    assert about["model"]["parameters"]["layers.0.weight"] == [3, 2]
    tl.save({"model": model, "tensor": model.layers[0].weight}, path)
    assert same(tl.load(path)["model"], model.state_dict())


@pytest.mark.parametrize(
    ("bad", "where"),
    [
        ({"a": {"b": [object()]}}, "a.b.0"), ({1, 2}, "obj"), ({"f": np.sin}, "f"),
        ({"a": np.array(["x"])}, "a"), ({"o": np.array([None])}, "o"), ({"k": {(1,): 2}}, "key"),
        ({"g": np.random.default_rng(0)}, "g"), ({"w": np.ones(2, np.longdouble)}, "w"),
    ],
)  # fmt: skip
def test_what_is_no_number_is_refused_by_its_place(path, bad, where):
    path.write_bytes(b"old")
    with pytest.raises(TypeError, match=where):
        tl.save(bad, path)
    assert path.read_bytes() == b"old"


def test_what_holds_itself_is_refused(path):
    value = {"a": []}
    value["a"].append(value)
    with pytest.raises(TypeError, match="holds itself"):
        tl.save(value, path)
    shared = [np.ones(1)]
    tl.save({"a": shared, "b": shared}, path)
    assert same(tl.load(path), {"a": shared, "b": shared})


def with_header(header, data=b""):
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def entry(start, end, shape=(2,), dtype="F32"):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [start, end]}


HUGE = 2**62
FOREIGN = {
    "empty": (b"", "damaged"),
    "text": (b"hello, this is no model at all", "no safetensors file"),
    "pickle": (pickle.dumps({"a": 1}), "pickle.*safetensors.torch.save_file"),
    "npy": (b"\x93NUMPY\x01\x00", "np.load"),
    "a huge header": ((HUGE).to_bytes(8, "little") + b"{}", "damaged"),
    "overlapping": (with_header({"a": entry(0, 8), "b": entry(4, 12)}, bytes(12)), "damaged"),
    "a hole": (with_header({"a": entry(0, 8), "b": entry(12, 20)}, bytes(20)), "damaged"),
    "huge offsets": (with_header({"a": entry(0, HUGE, (HUGE // 4,))}, bytes(8)), "damaged"),
    "a huge shape": (with_header({"a": entry(0, 8, (HUGE, HUGE))}, bytes(8)), "damaged"),
    "backwards": (with_header({"a": entry(8, 0)}, bytes(8)), "damaged"),
    "float8": (with_header({"a": entry(0, 2, dtype="F8_E4M3")}, bytes(2)), "a is F8_E4M3"),
    "an unknown type": (with_header({"a": entry(0, 2, dtype="X9")}, bytes(2)), "damaged"),
    "no tensors for the structure": (
        with_header({"__metadata__": {"tinygrad_lab": '{"structure": {"array": "a"}}'}}),
        "its metadata does not fit",
    ),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_a_foreign_or_damaged_file_is_one_clear_error(path, name):
    content, text = FOREIGN[name]
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"(?s)a.safetensors: .*{text}"):
        tl.load(path)


def test_archives_say_what_they_are(path):
    np.savez(path.with_suffix(".npz"), a=np.ones(2))
    with pytest.raises(ValueError, match=r"np\.load"):
        tl.load(path.with_suffix(".npz"))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(1))
    with pytest.raises(ValueError, match=r"torch\.save writes.*save_file"):
        tl.load(path)
    with pytest.raises(FileNotFoundError):
        tl.load(path.with_suffix(".nothing"))


def test_a_file_cut_anywhere_is_refused_and_leaves_the_model(path):
    model = nn.Linear(2, 3, rng=0)
    content = tl.save(model, path).read_bytes()
    before = model.state_dict()
    for length in range(0, len(content), 7):
        path.write_bytes(content[:length])
        with pytest.raises(ValueError, match="damaged"):
            model.load_state_dict(tl.load(path))
    assert same(model.state_dict(), before)


def test_bfloat16_is_read_as_float32(path):
    values = np.array([1.0, -2.5, 3e38], np.float32)
    bits = (values.view(np.uint32) >> 16).astype("<u2").tobytes()
    path.write_bytes(with_header({"a": entry(0, 6, (3,), "BF16")}, bits))
    loaded = tl.load(path)["a"]
    assert loaded.dtype == np.float32
    np.testing.assert_allclose(loaded, values, rtol=2**-7)


def test_without_the_library_it_is_one_line(monkeypatch, path):
    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    with pytest.raises(ImportError, match=r'pip install "tinygrad-lab\[files\]"'):
        tl.save({}, path)


# -- checkpoints -----------------------------------------------------------------------------------

TRAIN = '''
import sys
import numpy as np
import tinygrad_lab as tl
from tinygrad_lab import nn, optim

def train(path, stop):
    """20 steps with Adam, a schedule, dropout and shuffled rows; from a checkpoint, if there is."""
    model = nn.Sequential(nn.Linear(3, 16, rng=0), nn.Tanh(), nn.Dropout(0.3, rng=1),
                          nn.BatchNorm1d(16), nn.Linear(16, 1, rng=2), nn.Dropout(0.1, rng=3))
    optimizer = optim.Adam(model.parameters(), lr=0.05)
    schedule = optim.lr_scheduler.CosineAnnealingLR(optimizer, 20)
    rng, first, losses = np.random.default_rng(5), 0, []
    if path is not None:
        saved = tl.load(path)
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        schedule.load_state_dict(saved["schedule"])
        nn.load_generator_state(model, saved["generators"])
        rng.bit_generator.state = saved["rng"]
        first, losses = saved["step"], saved["losses"]
    x = np.random.default_rng(9).normal(size=(64, 3))
    y = x.sum(axis=1, keepdims=True)
    for step in range(first, stop):
        rows = rng.permutation(64)[:16]
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(x[rows]), y[rows])
        loss.backward()
        optimizer.step()
        schedule.step()
        losses = [*losses, float(loss.data)]
    return {"model": model.state_dict(), "optimizer": optimizer.state_dict(),
            "schedule": schedule.state_dict(), "generators": nn.generator_state(model),
            "rng": rng.bit_generator.state, "step": stop, "losses": losses}

if __name__ == "__main__":
    tl.save(train(sys.argv[1], 20), sys.argv[2])
'''


def test_training_goes_on_from_a_file_in_another_process_bit_for_bit(tmp_path):
    space = {}
    exec(TRAIN.replace("__main__", "no"), space)
    whole = space["train"](None, 20)
    assert whole["losses"][-1] < whole["losses"][0]
    half = tl.save(space["train"](None, 10), tmp_path / "half")
    (tmp_path / "train.py").write_text(TRAIN)
    subprocess.run([sys.executable, tmp_path / "train.py", half, tmp_path / "end"], check=True)
    assert same(tl.load(tmp_path / "end"), whole)


def test_generators_that_are_not_the_models_change_nothing():
    model = nn.Sequential(nn.Dropout(rng=0), nn.Dropout(rng=1))
    before = nn.generator_state(model)
    with pytest.raises(RuntimeError, match=r"0\._rng"):
        nn.load_generator_state(model, {"0._rng": before["0._rng"]})
    other = np.random.Generator(np.random.MT19937(0)).bit_generator.state
    with pytest.raises(RuntimeError, match="PCG64 here and MT19937"):
        nn.load_generator_state(model, {"0._rng": before["0._rng"], "1._rng": other})
    assert nn.generator_state(model) == before


#: Ends at once whatever it has started, so that each kill costs no import.
SAVING = """
import itertools, os, sys
import numpy as np
import tinygrad_lab as tl

def save(path):
    for run in itertools.cycle((1.0, 2.0)):
        tl.save({"weights": [np.full(200_000, run)], "run": run}, path)

save_once = tl.save({"weights": [np.ones(1)], "run": 1.0}, sys.argv[1])
for line in sys.stdin:
    if (child := os.fork()) == 0:
        save(sys.argv[1])
    print(child, flush=True)
    os.waitpid(child, 0)
"""


def kills_while_saving(path, rng):
    """Kill a process that saves, again and again; assert that a whole file is there each time."""
    launcher = [sys.executable, "-c", SAVING, path]
    with subprocess.Popen(launcher, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        try:
            while True:
                parent.stdin.write(b"\n")
                parent.stdin.flush()
                child = int(parent.stdout.readline())
                time.sleep(rng.uniform(0, 0.03))
                os.kill(child, signal.SIGKILL)
                saved = tl.load(path)
                assert (saved["weights"][0] == saved["run"]).all()
                yield saved["run"], saved["weights"][0].size
        finally:
            parent.stdin.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are started and ended as in POSIX")
def test_a_kill_while_saving_leaves_a_whole_file(path):
    files = set(itertools.islice(kills_while_saving(path, np.random.default_rng(0)), 10))
    assert (2.0, 200_000) in files


# -- PyTorch ---------------------------------------------------------------------------------------


def layers(of):
    """The same architectures, here and there."""
    return {
        "mlp": of.Sequential(of.Linear(6, 5), of.Tanh(), of.Linear(5, 2)),
        "cnn": of.Sequential(
            of.Conv2d(1, 4, 3, padding=1), of.BatchNorm2d(4), of.ReLU(), of.MaxPool2d(2),
            of.Flatten(), of.Linear(16, 3),
        ),
        "norms": of.Sequential(of.LayerNorm(6), of.Linear(6, 4), of.GroupNorm(2, 4)),
        "transformer": of.TransformerEncoder(
            of.TransformerEncoderLayer(6, 2, 8, batch_first=True), 2, enable_nested_tensor=False
        ),
        "lstm": of.LSTM(6, 4, num_layers=2, bidirectional=True, batch_first=True),
    }  # fmt: skip


@pytest.mark.oracle
@pytest.mark.parametrize("name", ["mlp", "cnn", "norms", "lstm", "transformer"])
def test_files_go_to_pytorch_and_come_from_there(path, name):
    torch = pytest.importorskip("torch")
    from safetensors.torch import load_file, save_file

    ours, theirs = layers(nn)[name], layers(torch.nn)[name].double()
    shape = {"cnn": (5, 1, 4, 4), "lstm": (5, 3, 6), "transformer": (5, 3, 6)}.get(name, (5, 6))
    x = np.random.default_rng(0).normal(size=shape)
    if name == "cnn":
        theirs(torch.tensor(x))  # running statistics

    def outputs():
        y, z = ours.eval()(x), theirs.eval()(torch.tensor(x))
        y, z = (y[0], z[0]) if isinstance(y, tuple) else (y, z)
        return y.data, z.detach().numpy()

    save_file(theirs.state_dict(), path)
    assert not any(ours.load_state_dict(tl.load(path)))
    np.testing.assert_allclose(*outputs(), rtol=1e-6, atol=1e-6)
    for p in ours.parameters():
        p.data = p.data * 1.5
    tl.save(ours, path)
    theirs.load_state_dict(load_file(path))
    np.testing.assert_allclose(*outputs(), rtol=1e-6, atol=1e-6)


@pytest.mark.oracle
def test_what_torch_save_writes_is_named(path):
    torch = pytest.importorskip("torch")
    torch.save(torch.nn.Linear(2, 1).state_dict(), path)
    with pytest.raises(ValueError, match=r"torch\.save writes.*save_file"):
        tl.load(path)
    tl.save({"t": torch.ones(2, requires_grad=True)}, path)
    assert same(tl.load(path), {"t": np.ones(2, np.float32)})
    with pytest.raises(TypeError, match="t cannot be saved"):
        tl.save({"t": torch.ones(2, dtype=torch.bfloat16)}, path)
