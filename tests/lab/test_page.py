"""The page of the commands: each block is what the command prints, with the files that it names."""

import doctest
import re
from pathlib import Path

PAGE = (Path(__file__).parents[2] / "docs" / "lab.md").read_text(encoding="utf-8")
FILES = re.compile(r"`(\w+\.(?:csv|py))`[:,]\n\n```(?:text|py)\n(.*?)^```$", re.M | re.S)
COMMANDS = re.compile(r"^\$ tinygrad-lab (.*)\n((?:(?!\$ |```).*\n)*)", re.M)
NUMBER = re.compile(r"\d+\.\d+(?:e[-+]\d+)?")
MATCHES = doctest.OutputChecker().check_output


def rounded(text):
    """Numbers with the digits that other versions of NumPy print too."""
    return NUMBER.sub(lambda number: f"{float(number[0]):.3g}", text)


def test_commands_print_what_the_page_says(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, text in FILES.findall(PAGE):
        Path(name).write_text(text)
    blocks = COMMANDS.findall(PAGE)
    assert len(blocks) > 10
    for line, shown in blocks:
        _, out, err = command(line)
        wanted, printed = rounded(shown), rounded(out + err)
        assert MATCHES(wanted, printed, doctest.ELLIPSIS), f"$ {line}\n{out}{err}"
    for name in re.findall(r"--(?:save|plot|out) (\S+\.(?:png|svg|csv))", " ".join(dict(blocks))):
        assert Path(name).stat().st_size
