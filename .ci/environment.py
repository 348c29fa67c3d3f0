"""Make .venv hold what a make target needs; the Makefile calls this before each of them.

    python3 .ci/environment.py lab                   # the package, editable, with its extra `lab`
    python3 .ci/environment.py test torch==2.13.0    # an extra, and a requirement beside it

Standard library alone, because it runs before anything is installed; it answers in a few hundredths
of a second when there is nothing to do. What an interrupted installation left half made, what was
made in another folder, and what has lost its Python is thrown away and made anew. A .venv that
somebody made by hand is used, never thrown away. Not a package manager: what is needed stands in
pyproject.toml.
"""

import contextlib
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time

OLDEST = (3, 11)
ROOT = pathlib.Path(__file__).resolve().parent.parent
VENV = ROOT / os.environ.get("TINYGRAD_LAB_VENV", ".venv")  # another for .ci/versions.py
STAMP = VENV / "installed.json"
UNFINISHED = VENV / "unfinished"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def main(wanted):
    """Install what is missing of `wanted`: names of extras, or requirements."""
    if sys.version_info < OLDEST:
        version = "{}.{}".format(*sys.version_info[:2])
        sys.exit(
            f"tinygrad-lab needs Python 3.11 or newer and {sys.executable} is {version}. "
            "Say for example: make test PYTHON=python3.12"
        )
    with one_at_a_time():
        project = read_project()
        holds = what_it_holds(project["digest"])
        missing = [name for name in wanted if name not in holds]
        if not missing:
            return
        if not PYTHON.exists():
            create()
        install(missing, project["extras"])
        state = {"folder": str(ROOT), "digest": project["digest"], "holds": [*holds, *missing]}
        write(STAMP, json.dumps(state, indent=1))


@contextlib.contextmanager
def one_at_a_time():
    """Let a second make wait for the first; the system frees the lock when a process dies."""
    try:
        import fcntl
    except ImportError:  # Windows has no fcntl, and seldom two makes
        yield
        return
    with (ROOT / "pyproject.toml").open() as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another make that is installing here ...")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def read_project():
    """Return the names of the extras, and a digest of all that an installation depends on."""
    import tomllib

    data = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    text = json.dumps([data["project"], data["build-system"]], sort_keys=True)
    return {
        "extras": set(data["project"]["optional-dependencies"]),
        "digest": hashlib.sha256(text.encode()).hexdigest(),
    }


def what_it_holds(digest):
    """Return the names .venv holds already, after removing a .venv that cannot be trusted."""
    if not VENV.exists():
        return []
    state = read_stamp()
    if UNFINISHED.exists():
        trouble = "an installation was interrupted here"
    elif state["folder"] != str(ROOT):
        trouble = f"{VENV.name} was made in another folder"
    elif not runs("pass"):
        trouble = f"the Python of {VENV.name} is gone"
    else:
        return state["holds"] if state["digest"] == digest else []
    say(f"{trouble}; making a new {VENV.name}")
    shutil.rmtree(VENV)
    return []


def read_stamp():
    """Return what was noted after the last installation; a .venv made by hand has no note."""
    try:
        return json.loads(STAMP.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {"folder": str(ROOT), "digest": "", "holds": []}


def runs(code):
    """Tell whether the Python of .venv runs this."""
    try:
        return subprocess.run([PYTHON, "-c", code], capture_output=True).returncode == 0
    except OSError:
        return False


def create():
    """Make an empty .venv with the Python that runs this file."""
    say(f"making {VENV.name} with Python {sys.version.split()[0]} ...")
    VENV.mkdir(parents=True)
    UNFINISHED.touch()
    made = subprocess.run([sys.executable, "-m", "venv", VENV], capture_output=True, text=True)
    if made.returncode != 0:
        shutil.rmtree(VENV)
        sys.exit(
            f"{made.stdout}{made.stderr}\n{sys.executable} cannot make a virtual environment. "
            "Debian and Ubuntu keep that in the package python3-venv; the Pythons of python.org, "
            "conda and uv have it: make ... PYTHON=/path/to/python3"
        )


def install(names, extras):
    """Install the package, editable, with the extras among `names`, and the requirements."""
    if not runs("import pip"):
        sys.exit(f"{VENV.name} has no pip: say make clean, or {PYTHON} -m ensurepip")
    chosen = ",".join(name for name in names if name in extras)
    others = [name for name in names if name not in extras]
    say(f"installing into {VENV.name}, once: {', '.join(names)} ...")
    started = time.monotonic()
    UNFINISHED.touch()
    pip = [PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    package = f".[{chosen}]" if chosen else "."
    done = subprocess.run([*pip, "--editable", package, *others], cwd=ROOT)
    if done.returncode >= 0:  # not killed: pip undoes what it could not finish
        UNFINISHED.unlink()
    if done.returncode != 0:
        sys.exit("pip could not install this, see above; what was installed before is still there")
    say(f"installed in {time.monotonic() - started:.0f} s")


def write(path, text):
    """Write beside and move into place, so that a killed process leaves no half file."""
    beside = path.with_suffix(".new")
    beside.write_text(text, encoding="utf-8")
    beside.replace(path)


def say(line):
    """Print at once, before the output of the processes that follow."""
    print(line, flush=True)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit("\ninterrupted; the same command again starts over")
