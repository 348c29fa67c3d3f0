"""Files are as ``open`` would have made them, and never there in part."""

import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.interrupts import interrupted_everywhere
from tinygrad_lab import files
from tinygrad_lab.files import write_file

posix = pytest.mark.skipif(os.name == "nt", reason="links and rights of POSIX")


@pytest.fixture
def umask():
    before = os.umask(0o027)
    yield 0o027
    os.umask(before)


def by_open(path, content):
    path.write_bytes(content)


def looks(path):
    """All that a file shows of itself: kind, rights, owner, and where it leads."""
    status = path.lstat()
    owner = (status.st_uid, status.st_gid) if os.name == "posix" else None
    return oct(status.st_mode), owner, path.readlink() if path.is_symlink() else None


def test_the_content_and_the_name(tmp_path):
    target = tmp_path / "a.svg"
    assert write_file(target, b"one") == target
    assert write_file(str(target), b"two") == target
    assert target.read_bytes() == b"two"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("length", [1, 100, 250, 251, 254, 255])
def test_a_name_as_long_as_there_can_be(tmp_path, length):
    target = tmp_path / ("n" * length)
    write_file(target, b"x")
    write_file(target, b"y")
    assert target.read_bytes() == b"y"


def new(folder):
    pass


def private(folder):
    (folder / "a").write_text("old")
    (folder / "a").chmod(0o600)


def executable(folder):
    (folder / "a").write_text("old")
    (folder / "a").chmod(0o755)


def link(folder):
    (folder / "elsewhere").mkdir()
    (folder / "elsewhere/b").write_text("old")
    (folder / "elsewhere/b").chmod(0o640)
    (folder / "a").symlink_to("elsewhere/b")


def link_to_a_link(folder):
    link(folder)
    (folder / "a").rename(folder / "between")
    (folder / "a").symlink_to("between")


def link_to_nothing(folder):
    (folder / "a").symlink_to("b")


def one_of_two_names(folder):
    (folder / "a").write_text("old")
    os.link(folder / "a", folder / "b")


@posix
@pytest.mark.parametrize(
    "prepare", [new, private, executable, link, link_to_a_link, link_to_nothing, one_of_two_names]
)
def test_a_file_is_as_open_would_have_made_it(tmp_path, umask, prepare):
    folders = []
    for name, write in (("ours", write_file), ("open", by_open)):
        folder = tmp_path / name
        folder.mkdir()
        prepare(folder)
        write(folder / "a", b"new")
        everything = sorted(folder.rglob("*"))
        folders.append(
            [(p.relative_to(folder), looks(p), p.is_file() and p.read_bytes()) for p in everything]
        )
    assert folders[0] == folders[1]


@posix
def test_a_pipe_and_a_device_stay_what_they_are(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with ThreadPoolExecutor(1) as pool:
        content = pool.submit((tmp_path / "pipe").read_bytes)
        write_file(tmp_path / "pipe", b"through")
        assert content.result() == b"through"
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)
    write_file(os.devnull, b"nothing")
    assert stat.S_ISCHR(Path(os.devnull).stat().st_mode)


@posix
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may do anything")
def test_a_file_that_may_not_be_written_is_not_replaced(tmp_path):
    (tmp_path / "a").write_text("old")
    (tmp_path / "a").chmod(0o444)
    with pytest.raises(PermissionError):
        write_file(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_text() == "old"


def refused(write, path):
    with pytest.raises(OSError) as error:
        write(path, b"x")
    return type(error.value), error.value.errno, error.value.filename and str(error.value.filename)


@posix
@pytest.mark.parametrize("name", ["folder", "missing/a", "file/a", "loop", "n" * 256])
def test_what_open_refuses_is_refused_in_the_same_words(tmp_path, name):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("")
    (tmp_path / "loop").symlink_to("loop")
    before = sorted(tmp_path.rglob("*"))
    assert refused(write_file, tmp_path / name) == refused(by_open, tmp_path / name)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_full_disk_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    def full(descriptor, mode, **_):
        raise OSError(28, "No space left on device")

    target = tmp_path / "a.svg"
    target.write_bytes(b"old")
    monkeypatch.setattr(files, "_make_alike", full)
    with pytest.raises(OSError, match=r"No space left on device: .*a\.svg"):
        write_file(target, b"new")
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


# Between the opening of a file and `with` it is closed by nobody but the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_an_interrupt_leaves_the_old_file_or_the_new_one_and_no_other(tmp_path):
    target = tmp_path / "a.svg"

    def make():
        target.write_bytes(b"old")
        return target

    def state(_):
        return [path.name for path in tmp_path.iterdir()], target.read_bytes()

    def action(path):
        write_file(path, b"new")

    left = [state for _, state in interrupted_everywhere(make, action, state, within="files.py")]
    assert {content for _, content in left} == {b"old", b"new"}
    # Between two lines of the clean-up itself nothing can clean up.
    assert sum(names != ["a.svg"] for names, _ in left) <= 1


def test_many_writers_of_one_name_leave_the_content_of_one(tmp_path):
    target = tmp_path / "a.svg"
    contents = [bytes([65 + i]) * 300_000 for i in range(8)]
    with ThreadPoolExecutor(8) as pool:
        writes = [pool.submit(write_file, target, content) for content in contents * 10]
        while not all(write.done() for write in writes):
            if target.exists():
                assert target.read_bytes() in contents
    for write in writes:
        write.result()
    assert list(tmp_path.iterdir()) == [target]


@posix
def test_a_killed_writer_leaves_the_old_file_or_the_new_one(tmp_path):
    code = (
        "import sys; from tinygrad_lab.files import write_file\n"
        "print('ready', flush=True)\n"
        "while True:\n    for c in b'ab': write_file(sys.argv[1], bytes([c]) * 1_000_000)"
    )
    target = tmp_path / "a.svg"
    for _ in range(3):
        with subprocess.Popen(
            [sys.executable, "-c", code, target], stdout=subprocess.PIPE
        ) as child:
            child.stdout.readline()
            while not target.exists():
                pass
            child.kill()
        assert target.read_bytes() in (b"a" * 1_000_000, b"b" * 1_000_000)


@pytest.mark.parametrize("place", ["missing/a.txt", "a/b.txt", "."])
def test_an_error_names_one_file(place, tmp_path):
    (tmp_path / "a").write_text("no folder")
    with pytest.raises(OSError, match="Errno") as error:
        write_file(tmp_path / place, b"")
    assert str(error.value).endswith(f"{str(tmp_path / place)!r}")
