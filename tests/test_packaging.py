"""What is installed is what the repository says: metadata, files in the wheel, commands."""

import importlib
import re
import subprocess
import sys
import tomllib
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]


def name_of(requirement: str) -> str:
    return re.match(r"[\w.-]+", requirement)[0].lower()


def run_python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    pytest.importorskip("hatchling")
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    [path] = folder.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        yield archive


def test_the_wheel_holds_the_package_the_command_and_nothing_else(wheel):
    tops = {name.partition("/")[0] for name in wheel.namelist()}
    metadata = f"tinygrad_lab-{PROJECT['version']}.dist-info"
    assert tops == {"tinygrad_lab", "tinygrad_lab_command.py", metadata}


def test_the_wheel_holds_every_tracked_file_of_the_package(wheel):
    listed = subprocess.run(
        ["git", "ls-files", "tinygrad_lab"], cwd=ROOT, capture_output=True, text=True
    )
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    assert set(listed.stdout.split()) <= set(wheel.namelist())
    assert "tinygrad_lab/py.typed" in wheel.namelist()


def test_three_dependencies_and_no_more(wheel):
    [name] = [name for name in wheel.namelist() if name.endswith("METADATA")]
    metadata = Parser().parsestr(wheel.read(name).decode())
    core = [line for line in metadata.get_all("Requires-Dist") if "extra ==" not in line]
    assert {name_of(line) for line in core} == {"numpy", "graphviz", "matplotlib"}


def test_all_is_every_extra_for_using_the_package_on_one_machine():
    for_working_on_it = {"test", "oracles", "bench", "docs"}
    [everything] = EXTRAS["all"]
    listed = set(re.search(r"\[(.*)\]", everything)[1].split(","))
    assert listed == set(EXTRAS) - for_working_on_it - {"all"}


def test_testing_needs_no_torch():
    assert "torch" not in {name_of(line) for line in EXTRAS["test"]}


def test_every_requirement_has_its_reason_in_the_docs():
    reasons = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8").lower()
    required = [*PROJECT["dependencies"], *(line for extra in EXTRAS.values() for line in extra)]
    names = {name_of(line) for line in required} - {"tinygrad-lab"}
    assert {name for name in names if f"| {name} |" not in reasons} == set()


def test_the_version_is_the_one_in_the_metadata():
    assert importlib.import_module("tinygrad_lab").__version__ == PROJECT["version"]


def test_the_command_points_at_a_function():
    module, _, function = PROJECT["scripts"]["tinygrad-lab"].partition(":")
    assert callable(getattr(importlib.import_module(module), function))


@pytest.mark.parametrize(
    ("missing", "command"),
    [("typer", "report"), ("tqdm", "report"), ("jinja2", "report"), ("threadpoolctl", "train xor")],
)
def test_the_command_without_its_extra_says_how_to_get_it(missing, command):
    done = run_python(
        f"import sys; sys.modules[{missing!r}] = None;"
        f"sys.argv = ['tinygrad-lab', *{command.split()!r}];"
        "from tinygrad_lab.lab.cli import main; main()"
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert f"{missing} is not installed" in done.stderr
    assert 'pip install "tinygrad-lab[lab]"' in done.stderr


def test_comparisons_with_oracles_are_marked_so_that_make_test_oracles_runs_them():
    oracles = {name_of(line) for line in EXTRAS["oracles"]}
    skipping = re.compile(rf"importorskip\(\s*[\"'](?:{'|'.join(oracles)})\b")
    unmarked = [
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "tests").glob("**/test_*.py")
        if skipping.search(text := path.read_text(encoding="utf-8")) and "mark.oracle" not in text
    ]
    assert unmarked == []
