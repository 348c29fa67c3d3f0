"""Compiled kernels, and a folder that keeps them for the next process.

What is read from that folder is executed, so it must be a folder of the user's own, which nobody
else can write to; another is refused, said once, and nothing is kept.  ``TINYGRAD_LAB_CACHE`` names
a folder; empty, it turns this off.  A file is used only by the versions and the processor that it
was made for, and only if it is whole.  Nothing that goes wrong with files is ever an error.

Not for: the text of kernels (``loops.py``).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import pickle
import platform
import stat
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_lab.transforms.jit.backends.loops import Kernel, Parameter
from tinygrad_lab.warnings import CompilingWarning, warn

__all__ = ["compiled", "folder"]

_MAGIC = b"tinygrad_lab kernel 1\n"
_FILES = 300  # that are kept
_NOGIL = 1 << 18  # elements: from here on other threads run during a kernel
_entries: dict[str, Callable[..., int]] = {}
_refused: set[str] = set()
#: Held while Numba compiles, and by whoever forks: a child would wait for a thread that it lacks.
COMPILING = threading.RLock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=COMPILING.acquire,
        after_in_parent=COMPILING.release,
        after_in_child=COMPILING.release,
    )


def compiled(kernel: Kernel) -> Callable[..., int]:
    """Give the compiled function of a kernel: from this process, from the folder, or new.

    Raises
    ------
    ImportError
        Without Numba.
    """
    with COMPILING:
        key = _key(kernel)
        if key not in _entries:
            path = _place(key)
            result = _load(path) if path else None
            if result is None:
                result = _compile(kernel)
                if path:
                    _save(path, result)
            _entries[key] = result.entry_point
        return _entries[key]


# -- compiling ------------------------------------------------------------------------------------


def _compile(kernel: Kernel) -> Any:
    from numba.core import compiler, registry

    from tinygrad_lab.transforms.jit.backends import elementary

    space: dict[str, Any] = {**elementary.NAMESPACE, "__name__": elementary.__name__}
    exec(kernel.text, space)
    flags = compiler.Flags()
    flags.error_model = "numpy"  # division by zero is no exception
    flags.noalias = True  # what is written is no memory that is read
    flags.nrt = True
    flags.release_gil = kernel.size > _NOGIL
    contexts = registry.cpu_target.typing_context, registry.cpu_target.target_context
    for context in contexts:
        context.refresh()
    types = tuple(_type(elementary, p) for p in kernel.parameters)
    return compiler.compile_extra(*contexts, space["kernel"], types, None, flags, {})


def _type(elementary: Any, parameter: Parameter) -> Any:
    """Give Numba's type of a parameter."""
    from numba import types

    dtype = np.dtype(parameter.kind.dtype)
    if parameter.role == "stack":
        return elementary.Buffer(dtype, None)
    if parameter.role in ("number", "count"):
        return types.boolean if dtype == np.dtype(bool) else getattr(types, dtype.name)
    return elementary.Buffer(dtype, parameter.kind.shape)


# -- the folder -----------------------------------------------------------------------------------


def folder() -> Path | None:
    """Give the folder of compiled kernels, or None where there is to be none."""
    named = os.environ.get("TINYGRAD_LAB_CACHE")
    if named is not None:
        return Path(named).absolute() if named else None
    try:
        home = Path.home()
    except RuntimeError:  # a user without one
        return None
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = home / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache")
    return base / "tinygrad_lab" / "kernels" if base.is_absolute() else None


def _place(key: str) -> Path | None:
    """Say where the file of a kernel is, if there is a folder for it that can be trusted."""
    place = folder()
    if place is None:
        return None
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            place.mkdir(mode=0o700)
        why = _distrust(place.lstat(), stat.S_ISDIR)
    except OSError as error:
        why = f"cannot be made: {error.strerror}"
    if not why:
        return place / key
    if str(place) not in _refused:
        _refused.add(str(place))
        warn(
            f"compiled kernels are not kept: {place} {why}. Set TINYGRAD_LAB_CACHE to a folder of "
            "your own, or to nothing to keep none",
            CompilingWarning,
        )
    return None


def _distrust(status: os.stat_result, is_kind: Callable[[int], bool]) -> str:
    """Say why nothing from a file or folder may be executed; nothing where it may."""
    if not is_kind(status.st_mode):
        return "is something else"
    if hasattr(os, "getuid"):  # elsewhere, what is in a user's folder is that user's
        if status.st_uid != os.getuid():
            return "belongs to somebody else"
        if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            return "can be written to by others"
    return ""


def _key(kernel: Kernel) -> str:
    """Name what a compiled kernel depends on."""
    import llvmlite
    import numba
    from numba.core import registry

    from tinygrad_lab.transforms.jit.backends import elementary

    functions = Path(elementary.__file__).read_bytes()
    target = registry.cpu_target.target_context.codegen().magic_tuple()  # with the processor
    versions = numba.__version__, llvmlite.__version__, np.__version__, sys.version
    parts = (kernel.text, kernel.parameters, kernel.size > _NOGIL, target, versions,
             platform.machine(), functions)  # fmt: skip
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _load(path: Path) -> Any:
    """Read a compiled kernel, or give None if there is none that can be used."""
    from numba.core import compiler, registry

    try:
        with open(path, "rb", opener=_open_itself) as file:
            if _distrust(os.fstat(file.fileno()), stat.S_ISREG):
                return None
            magic, digest, data = file.read(len(_MAGIC)), file.read(32), file.read()
        if magic != _MAGIC or hashlib.sha256(data).digest() != digest:
            return None
        os.utime(path)  # used now: the last to be thrown away
        context = registry.cpu_target.target_context
        return compiler.CompileResult._rebuild(context, *pickle.loads(data))  # noqa: SLF001
    except Exception:  # noqa: BLE001 - whatever it is, compiling again is the remedy
        return None


def _open_itself(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0))


def _save(path: Path, result: Any) -> None:
    """Write a compiled kernel beside, and move it to its place when it is whole."""
    from numba.core import serialize

    beside = path.with_name(f"{path.name}.{os.getpid()}.{threading.get_ident()}")
    try:
        data = serialize.dumps(result._reduce())  # noqa: SLF001 - as Numba's own cache does
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(_MAGIC + hashlib.sha256(data).digest() + data)
        beside.replace(path)
        _prune(path.parent)
    except Exception:  # noqa: BLE001 - a full disk, say: then nothing is kept
        with contextlib.suppress(OSError):
            beside.unlink()


def _prune(place: Path) -> None:
    """Throw away the files that were used longest ago."""
    files = []
    with os.scandir(place) as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):  # another process has moved it meanwhile
                files.append((entry.stat().st_mtime, entry.path))
    for _, path in sorted(files)[: max(0, len(files) - _FILES)]:
        Path(path).unlink(missing_ok=True)
