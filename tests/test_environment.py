"""`.ci/environment.py` trusts a .venv exactly when it may; nothing is installed here."""

import importlib.util
import json
import os
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the Makefile is for POSIX systems")
SCRIPT = Path(__file__).parent.parent / ".ci" / "environment.py"


@pytest.fixture
def environment(tmp_path, monkeypatch):
    """The script, at work on an empty folder with a blank in its name."""
    spec = importlib.util.spec_from_file_location("environment", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    root = tmp_path / "a folder"
    venv = root / ".venv"
    root.mkdir()
    (root / "pyproject.toml").write_text(
        '[project]\nname = "x"\n[project.optional-dependencies]\nlab = []\n[build-system]\n'
    )
    for name, path in {
        "ROOT": root,
        "VENV": venv,
        "STAMP": venv / "installed.json",
        "UNFINISHED": venv / "unfinished",
        "PYTHON": venv / "bin" / "python",
    }.items():
        monkeypatch.setattr(module, name, path)
    installed = []
    monkeypatch.setattr(module, "create", lambda: fill(venv))
    monkeypatch.setattr(module, "install", lambda names, extras: installed.append(names))
    module.installed = installed
    return module


def fill(venv: Path) -> None:
    (venv / "bin").mkdir(parents=True)
    (venv / "bin" / "python").symlink_to(sys.executable)


def test_the_second_time_nothing_is_installed(environment):
    environment.main(["lab"])
    environment.main(["lab"])
    assert environment.installed == [["lab"]]


def test_only_what_is_missing_is_installed(environment):
    environment.main(["lab"])
    environment.main(["lab", "torch"])
    assert environment.installed == [["lab"], ["torch"]]


def test_changed_dependencies_are_installed_again_and_tool_settings_are_not(environment):
    environment.main(["lab"])
    project = environment.ROOT / "pyproject.toml"
    project.write_text(project.read_text() + "[tool.ruff]\n")
    environment.main(["lab"])
    assert environment.installed == [["lab"]]
    project.write_text(project.read_text().replace("lab = []", 'lab = ["tqdm"]'))
    environment.main(["lab"])
    assert environment.installed == [["lab"], ["lab"]]


def test_an_interrupted_installation_is_thrown_away(environment):
    environment.main(["lab"])
    environment.UNFINISHED.touch()
    environment.main(["lab"])
    assert not environment.UNFINISHED.exists()
    assert environment.installed == [["lab"], ["lab"]]


def test_a_folder_that_was_moved_starts_anew(environment):
    environment.main(["lab"])
    state = json.loads(environment.STAMP.read_text())
    environment.STAMP.write_text(json.dumps(state | {"folder": "/where/it/was"}))
    (environment.VENV / "old").touch()
    environment.main(["lab"])
    assert not (environment.VENV / "old").exists()


def test_a_python_that_is_gone_starts_anew(environment):
    environment.main(["lab"])
    environment.PYTHON.unlink()
    environment.PYTHON.symlink_to("/no/such/python")
    environment.main(["lab"])
    assert environment.runs("pass")


def test_a_venv_made_by_hand_is_used_and_kept(environment):
    fill(environment.VENV)
    (environment.VENV / "mine").touch()
    environment.main(["lab"])
    assert (environment.VENV / "mine").exists()
    assert environment.installed == [["lab"]]


def test_an_old_python_is_told_so_in_one_line(environment, monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 9, 1))
    with pytest.raises(SystemExit, match=r"needs Python 3\.11 or newer and .* is 3\.9") as caught:
        environment.main(["lab"])
    assert "\n" not in str(caught.value)
