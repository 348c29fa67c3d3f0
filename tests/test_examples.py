"""Each script of examples/ runs as it is, from anywhere, and leaves nothing behind."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


#: What a script is run with so that it is done in a second or two: how many steps it trains.
SHORTENED = {
    "autoencoder": ["1"], "character_lstm": ["10"], "character_transformer": ["10"],
    "digits_cnn": ["1"], "larger_than_memory": ["4", "1"], "pinn": ["20"],
    "resnet_block": ["1", "64"],
}  # fmt: skip

#: What a script cannot do without, beside what everybody has.
NEEDED = {"larger_than_memory": "distributed"}


def run(script: Path, folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", script, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        encoding="utf-8",
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert list(folder.iterdir()) == []
    return done.stdout


HAND_WRITTEN = ROOT / "examples" / "hand_written_backprop.py"  # what it prints is looked at below
OTHERS = [script for script in EXAMPLES if script != HAND_WRITTEN]


@pytest.mark.parametrize("script", OTHERS, ids=lambda path: path.stem)
def test_an_example_runs(script, tmp_path):
    if script.stem in NEEDED:
        pytest.importorskip(NEEDED[script.stem])
    assert run(script, tmp_path, *SHORTENED.get(script.stem, []))


def test_hand_written_backprop_shows_both_mistakes(tmp_path):
    gradients, update = run(HAND_WRITTEN, tmp_path).split("\n\n")
    assert gradients.startswith("loss, gradients by input 0 (W1)")
    assert "first wrong line: hand_written_backprop.py:" in gradients
    assert ": dZ3 = 2 * (A3 - Y) / n" in gradients
    assert "the factor A3 * (1 - A3) is missing" in gradients
    assert "goes uphill, however small the rate" in update


def test_hand_written_backprop_passes_with_its_two_lines_mended(tmp_path):
    text = HAND_WRITTEN.read_text(encoding="utf-8")
    for wrong, right in (
        ("2 * (A3 - Y) / n", "2 * (A3 - Y) * A3 * (1 - A3) / n"),
        ("[p + v for", "[p - v for"),
    ):
        assert text.count(wrong) == 1
        text = text.replace(wrong, right)
    mended = tmp_path / "mended.py"
    mended.write_text(text, encoding="utf-8")
    (empty := tmp_path / "empty").mkdir()
    gradients, update = run(mended, empty).split("\n\n")
    assert gradients.startswith("loss: pass, a relative error of ")
    assert update.startswith("momentum...update: pass")
