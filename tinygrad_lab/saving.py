"""Models and training states as files: safetensors, which PyTorch reads and writes too.

The arrays are tensors of the file under their paths; what holds them (dicts, lists, numbers, texts)
is JSON in its metadata.  There is no code in a file, so loading one runs none.

Not for: how a file is put in its place (``files.py``), or what a state is (``nn/state.py``).
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from importlib import import_module
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tinygrad_lab.core.errors import describe
from tinygrad_lab.core.tensor import Tensor
from tinygrad_lab.files import write_file
from tinygrad_lab.transforms.containers import is_module

__all__ = ["load", "metadata", "save"]

Arrays = dict[str, npt.NDArray[Any]]

#: What tensors of a file are called, and what they are in NumPy.
_DTYPES = {
    "F64": "f8", "F32": "f4", "F16": "f2", "BF16": "u2", "I64": "i8", "I32": "i4", "I16": "i2",
    "I8": "i1", "U64": "u8", "U32": "u4", "U16": "u2", "U8": "u1", "BOOL": "?", "C64": "c8",
}  # fmt: skip
_OWN = "tinygrad_lab"  # under which the metadata has what is ours


def save(obj: Any, path: str | os.PathLike[str]) -> Path:
    """Save a model, its state, or whatever holds states, arrays, numbers and texts.

    The file is written as a whole: a process that is killed leaves the old one or the new one.

    Parameters
    ----------
    obj : Module, dict or list
        A module stands for its ``state_dict()``.  Dicts, lists and tuples may be inside each other,
        and hold arrays, tensors (PyTorch's too), modules, numbers, texts, booleans and None.
    path : path
        Where to, usually ``name.safetensors``.

    Returns
    -------
    Path
        The same.

    Raises
    ------
    TypeError
        Something in it is none of these; the text says where.
    ImportError
        safetensors is not installed.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> import tinygrad_lab as tl
    >>> path = f"{mkdtemp()}/model.safetensors"
    >>> model = tl.nn.Linear(2, 1, rng=0)
    >>> _ = tl.save({"model": model, "epoch": 3}, path)
    >>> checkpoint = tl.load(path)
    >>> model.load_state_dict(checkpoint["model"]), checkpoint["epoch"]
    (<All keys matched successfully>, 3)
    """
    arrays: Arrays = {}
    about: dict[str, Any] = {
        "versions": {_OWN: sys.modules[_OWN].__version__, "numpy": np.__version__}
    }
    if is_module(obj):
        about["model"] = _summary(obj)
        obj = obj.state_dict()
    if _is_state(obj):
        arrays.update({name: _array(value, name) for name, value in obj.items()})
        about["order"] = list(arrays)
    else:
        about["structure"] = _written(obj, "", arrays, [])
    if wide := [name for name, array in arrays.items() if array.dtype == np.complex128]:
        about["complex"] = wide  # which the format does not have: pairs of numbers
        arrays |= {name: arrays[name][..., None].view(np.float64) for name in wide}
    text = {_OWN: json.dumps(about, separators=(",", ":"))}
    return write_file(path, _library("safetensors.numpy").save(arrays, metadata=text))


def load(path: str | os.PathLike[str], *, weights_only: bool = True) -> Any:  # noqa: ARG001
    """Load what :func:`save` has saved, or a file of tensors from PyTorch, as a dict of arrays.

    Parameters
    ----------
    path : path
        A safetensors file.
    weights_only : bool
        PyTorch's, and without effect: there is never code in such a file.

    Returns
    -------
    dict or list
        What was saved, with arrays for tensors and states for modules.  Numbers in bfloat16 are
        float32.

    Raises
    ------
    ValueError
        It is no safetensors file, or a damaged one, or has tensors that NumPy has no numbers for.
    OSError
        It cannot be read.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> import numpy as np, tinygrad_lab as tl
    >>> path = tl.save({"weight": np.ones(2)}, f"{mkdtemp()}/a.safetensors")
    >>> tl.load(path)
    {'weight': array([1., 1.])}
    """
    content = Path(path).read_bytes()
    arrays, about = _arrays(content, path), _about(content)
    try:
        for name in about.get("complex", ()):
            arrays[name] = arrays[name].view(np.complex128)[..., 0]
        if "structure" in about:
            return _read(about["structure"], arrays)
        return {name: arrays[name] for name in about.get("order", arrays)}
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise ValueError(f"{path}: its metadata does not fit its tensors: {error!r}") from None


def metadata(path: str | os.PathLike[str]) -> dict[str, Any]:
    """What a file says of itself: ``versions``, and for a model its class and its parameters.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> import tinygrad_lab as tl
    >>> path = tl.save(tl.nn.Linear(2, 1, rng=0), f"{mkdtemp()}/a.safetensors")
    >>> tl.saving.metadata(path)["model"]
    {'class': 'Linear', 'parameters': {'weight': [1, 2], 'bias': [1]}}
    """
    content = Path(path).read_bytes()
    _arrays(content, path)  # or an error that says what is wrong with it
    about = _about(content)
    return {name: about[name] for name in ("versions", "model") if name in about}


def _library(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError:
        raise ImportError(
            'tl.save and tl.load need safetensors: pip install "tinygrad-lab[files]"'
        ) from None


def _summary(model: Any) -> dict[str, Any]:
    shapes = {name: list(p.shape) for name, p in model.named_parameters()}
    return {"class": type(model).__name__, "parameters": shapes}


# -- what is saved, as arrays and JSON ------------------------------------------------------------


def _is_array(value: Any) -> bool:
    return isinstance(value, (np.ndarray, Tensor)) or hasattr(value, "detach")


def _is_state(value: Any) -> bool:
    return isinstance(value, Mapping) and all(
        isinstance(name, str) and _is_array(item) for name, item in value.items()
    )


def _array(value: Any, path: str) -> npt.NDArray[Any]:
    """The numbers of an array, as the format has them: little-endian, and in C's order."""
    if hasattr(value, "detach"):
        value = value.detach()
    try:
        array = np.asarray(value.data if isinstance(value, Tensor) else value, order="C")
    except TypeError as error:  # of PyTorch's, without a NumPy type
        raise TypeError(f"{path} cannot be saved: {error}; convert it first") from None
    kind = array.dtype.newbyteorder("<")
    if kind.str.lstrip("<|") not in {*_DTYPES.values(), "b1", "c16"}:
        raise TypeError(f"{path} cannot be saved: {describe(value)} is no array of numbers")
    return array.astype(kind, copy=False)


def _written(value: Any, path: str, arrays: Arrays, around: list[int]) -> Any:
    """JSON for a value; its arrays go to ``arrays``.  A list is a list, a dict says what it is."""
    if value is None or type(value) in (bool, int, float, str):
        return value
    if id(value) in around:
        raise TypeError(f"{path or 'obj'} holds itself, and cannot be saved")
    around = [*around, id(value)]
    if isinstance(value, (np.generic, complex)):
        return {"number": _stored(np.asarray(value), path, arrays)}
    if _is_array(value):
        return {"array": _stored(value, path, arrays)}
    if is_module(value):
        value = value.state_dict()
    inside = f"{path}." if path else ""
    if isinstance(value, Mapping):
        return {
            "dict": [
                [_key(key, path), _written(item, f"{inside}{key}", arrays, around)]
                for key, item in value.items()
            ]
        }
    if type(value) in (list, tuple):
        items = [_written(item, f"{inside}{i}", arrays, around) for i, item in enumerate(value)]
        return items if type(value) is list else {"tuple": items}
    raise TypeError(
        f"{path or 'obj'} cannot be saved: it is {describe(value)}. A file holds dicts, lists, "
        "tuples, arrays, modules, numbers, texts, booleans and None: save the state of it "
        "(state_dict(), bit_generator.state)"
    )


def _key(key: Any, path: str) -> Any:
    if key is None or type(key) in (bool, int, float, str):
        return key
    raise TypeError(
        f"the key {key!r} of {path or 'obj'} cannot be saved: say a text or a plain number"
    )


def _stored(value: Any, path: str, arrays: Arrays) -> str:
    """Keep an array under its path, or a free name like it."""
    name = path or "array"
    while name in arrays:
        name += "_"
    arrays[name] = _array(value, path or "obj")
    return name


# -- and back -------------------------------------------------------------------------------------


def _arrays(content: bytes, path: Any) -> Arrays:
    library = _library("safetensors")
    try:
        tensors = library.deserialize(content)
    except library.SafetensorError as error:
        raise ValueError(f"{path}: {_diagnosis(content, str(error))}") from None
    arrays = dict(_decoded(tensors, path))
    return {name: arrays[name] for name in _header(content) if name in arrays}


def _decoded(tensors: Any, path: Any) -> Iterator[tuple[str, npt.NDArray[Any]]]:
    for name, tensor in tensors:
        kind = tensor["dtype"]
        if kind not in _DTYPES:
            raise ValueError(
                f"{path}: {name} is {kind}, which NumPy has no numbers for: save "
                "{name: t.float() for name, t in model.state_dict().items()} in PyTorch"
            )
        array = np.frombuffer(tensor["data"], "<" + _DTYPES[kind])
        if kind == "BF16":  # the upper half of a float32
            array = (array.astype("<u4") << 16).view("<f4")
        yield name, array.reshape(tensor["shape"])


def _diagnosis(content: bytes, error: str) -> str:
    """Say what a file is that is no safetensors file."""
    import zipfile

    in_pytorch = (
        "say safetensors.torch.save_file(model.state_dict(), path) in PyTorch, and load that"
    )
    if zipfile.is_zipfile(BytesIO(content)):
        with zipfile.ZipFile(BytesIO(content)) as archive:
            if any(name.endswith(".npy") for name in archive.namelist()):
                return "this is a file of NumPy's: say np.load(path)"
        return f"this is a zip file, as torch.save writes, and may hold code: {in_pytorch}"
    if content.startswith(b"\x80"):
        return f"this is a pickle, which may hold code: {in_pytorch}"
    if content.startswith(b"\x93NUMPY"):
        return "this is a file of NumPy's: say np.load(path)"
    reason = error.removeprefix("Error while deserializing: ")
    return f"this is no safetensors file, or a damaged one ({reason})"


def _header(content: bytes) -> dict[str, Any]:
    header: dict[str, Any] = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    return header


def _about(content: bytes) -> dict[str, Any]:
    """What is ours in the header of a file."""
    try:
        about = json.loads(_header(content).get("__metadata__", {}).get(_OWN, "{}"))
    except ValueError:
        about = {}
    return about if isinstance(about, dict) else {}


def _read(written: Any, arrays: Arrays) -> Any:
    if isinstance(written, list):
        return [_read(item, arrays) for item in written]
    if not isinstance(written, dict):
        return written
    [(kind, value)] = written.items()
    if kind == "dict":
        return {key: _read(item, arrays) for key, item in value}
    if kind == "tuple":
        return tuple(_read(item, arrays) for item in value)
    if kind == "number":
        number = arrays[value][()]
        return complex(number) if number.dtype == np.complex128 else number
    if kind == "array":
        return arrays[value]
    raise ValueError(f"unknown kind {kind!r}")
