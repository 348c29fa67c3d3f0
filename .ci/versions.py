"""Run the suite with every Python of this machine, each with its oldest and its newest NumPy.

    python3 .ci/versions.py [arguments of pytest]     # make test-versions

Each pair has an environment of its own in .versions/, made once and used again; the newest NumPy
is asked for anew every time. The last lines say how each went; a failure in one fails the command.
Not for: saying which versions the library supports, which stands in pyproject.toml.
"""

import os
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
FOLDER = ROOT / ".versions"
NAMES = [f"python3.{minor}" for minor in range(11, 30)]
OLDEST = "2.0.*"  # NumPy
FIRST_BUILT_FOR = {"python3.13": "2.1.*", "python3.14": "2.3.*"}  # where that is a later one


def main(arguments):
    """Run the suite for each pair; return whether one failed."""
    results = []
    for name, python in pythons().items():
        for age, numpy in ("oldest", FIRST_BUILT_FOR.get(name, OLDEST)), ("newest", None):
            say(f"{name} with its {age} NumPy:")
            results.append(run_suite(python, FOLDER / f"{name}-{age}", numpy, arguments))
    for _, versions, summary in results:
        say(f"{versions}: {summary}")
    return any(status for status, _, _ in results)


def pythons():
    """Return the command of each Python there is from 3.11 on, on PATH or among those of pyenv."""
    pyenv = pathlib.Path(os.environ.get("PYENV_ROOT", pathlib.Path.home() / ".pyenv"))
    commands = {}
    for name in NAMES:
        candidates = [shutil.which(name), *sorted(pyenv.glob(f"versions/*/bin/{name}"))]
        runnable = [command for command in candidates if command and runs(command)]
        if runnable:
            commands[name] = runnable[0]
    return commands


def runs(command):
    """Tell whether this Python starts: pyenv has commands that only say why they do not."""
    return subprocess.run([command, "-c", "pass"], capture_output=True).returncode == 0


def run_suite(python, venv, numpy, arguments):
    """Return pytest's exit status, the versions, and pytest's last line."""
    install = [python, ROOT / ".ci" / "environment.py", "test"]
    install.append(f"numpy=={numpy}" if numpy else "numpy")
    environment = {**os.environ, "TINYGRAD_LAB_VENV": str(venv)}
    if status := subprocess.run(install, env=environment).returncode:
        return status, venv.name, "could not be installed"
    inside = venv / "bin" / "python"
    if not numpy:
        pip = [inside, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "--upgrade", "numpy"])
    ask = "import sys, numpy; print('Python', sys.version.split()[0], 'NumPy', numpy.__version__)"
    versions = subprocess.run([inside, "-c", ask], capture_output=True, text=True).stdout.strip()
    command = [inside, "-m", "pytest", "-q", *arguments]
    line = "no output"
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as suite:
        for line in suite.stdout:
            say(line.rstrip())
    return suite.returncode, versions, line.strip()


def say(line):
    """Print at once, before the output of the processes that follow."""
    print(line, flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit("\ninterrupted")
