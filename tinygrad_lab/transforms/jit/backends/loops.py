"""The text of kernels: loops over elements of a program's values, in Python that Numba compiles.

``b12`` is where value 12 of the program lies in memory, ``v12_0`` the first element of its row in
this turn of the loops, and ``r3`` something read from memory.

Not for: which lines share a loop (``plan.py``), or compiling (``cache.py``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from math import prod
from typing import Any, NamedTuple

import numpy as np

from tinygrad_lab.transforms.jit.backends import forms
from tinygrad_lab.transforms.jit.backends.plan import Access, Guard, Line, Nest, Plan, Shape, Sum
from tinygrad_lab.transforms.jit.program import Kind, Ref

__all__ = ["Kernel", "LoopWriter", "Parameter", "Writer"]

_STACK = 1 << 15  # bytes of intermediate values of a kernel that lie on the stack


class Parameter(NamedTuple):
    """What a kernel is called with."""

    name: str
    number: int
    role: str  # number, array, result, scratch; of a loop also state, final, last, stack, count
    kind: Kind


class Kernel(NamedTuple):
    """The text of a function, and what it is called with.

    It returns 0, or 1 if a value is not what was expected of it, 2 if a result is not finite.
    """

    text: str
    parameters: tuple[Parameter, ...]
    size: int  # multiplications, about


def element_dtype(kind: Kind) -> np.dtype[Any]:
    """Give the dtype in which a kernel computes with a value."""
    return kind.dtype if kind.is_array else np.dtype(kind.dtype)


class Writer:
    """Writes the kernel of some nests that follow each other."""

    def __init__(self, plan: Plan, nests: Sequence[Nest], external: set[int], checked: set[int]):
        self.plan = plan
        self.nests = nests
        self.inside = {line.number: line for nest in nests for line in nest.lines}
        self.external = external & set(self.inside)
        self.checked = checked
        self.memory = set(self.external)  # what is written to memory
        self.lines: list[str] = []
        self._write()
        self._write()  # again, now that it is known what is read from memory
        self.parameters = self._parameters()

    def kernel(self) -> Kernel:
        """Give the whole function."""
        names = ", ".join(p.name for p in self.parameters)
        head = [f"def kernel({names}):", "    failed = bad = 0", *self._stack()]
        body = [f"    {line}" for line in self.lines]
        text = "\n".join([*head, *body, "    return failed | (bad << 1)", ""])
        size = sum(prod(nest.loops) * len(nest.lines) for nest in self.nests)
        return Kernel(text, tuple(self.parameters), size)

    # -- what it is called with, and its own memory -------------------------------------------

    def _write(self) -> None:
        self.read_from: dict[int, None] = {}  # values of others that are read
        self.lines = []
        for nest in self.nests:
            self._nest(nest)

    def _bytes(self, number: int) -> int:
        return self.plan.kind(Ref(number)).nbytes

    def _own(self) -> tuple[list[int], list[int]]:
        """Divide the intermediate values in memory: those on the stack, and others."""
        stack: list[int] = []
        scratch: list[int] = []
        room = _STACK
        for number in sorted(self.memory - self.external, key=self._bytes):
            room -= self._bytes(number)
            (stack if room >= 0 else scratch).append(number)
        return stack, scratch

    def _stack(self) -> Iterator[str]:
        for number in self._own()[0]:
            kind = self.plan.kind(Ref(number))
            yield f"    b{number} = stack_{element_dtype(kind).name}({kind.size})"

    def _parameters(self) -> list[Parameter]:
        result = []
        for number in self.read_from:
            kind = self.plan.kind(Ref(number))
            if kind.shape:
                result.append(Parameter(f"b{number}", number, "array", kind))
            else:
                result.append(Parameter(f"v{number}_0", number, "number", kind))
        for role, numbers in (("result", sorted(self.external)), ("scratch", self._own()[1])):
            for number in numbers:
                kind = self.plan.kind(Ref(number))
                result.append(Parameter(f"b{number}", number, role, kind))
        return result

    # -- nests --------------------------------------------------------------------------------

    def _nest(self, nest: Nest) -> None:
        self.turns = _Turns(nest)
        self.cache: dict[Any, str] = {}
        self.before: list[str] = []
        self.body: list[str] = []
        self.after: list[str] = []
        for line in nest.lines:
            self._line(nest, line)
        self.lines += self.before
        is_update = all(self.plan.phase(line.number) == "update" for line in nest.lines)
        if is_update:
            self.lines.append("control = flush()")
        depth = 0
        for depth, count in enumerate(self.turns.counts):
            self.lines.append(f"{'    ' * depth}for i{depth} in range({count}):")
        indent = "    " * len(self.turns.counts)
        self.lines += [indent + text for text in self.body]
        self.lines += self.after
        if is_update:
            self.lines.append("restore(control)")

    def _line(self, nest: Nest, line: Line) -> None:
        dtype = element_dtype(self.plan.kind(Ref(line.number)))
        if isinstance(line.form, Guard):
            value = self._read(nest, line.accesses[0], 0, np.dtype(bool))
            flip = " ^ 1" if line.form.outcome else ""
            self.body.append(f"failed = failed | (int64({value}){flip})")
            return
        if isinstance(line.form, forms.Elementwise):
            self._elementwise(nest, line)
        else:
            steps = list(self._steps(nest, line))
            if line.is_row:
                self._row_total(line, dtype, steps)
            elif line.is_named:
                self._named_total(line, dtype, steps)
            else:
                self._total_in_memory(line, dtype, steps)
                return
        self._store(line, dtype)

    def _elementwise(self, nest: Nest, line: Line) -> None:
        if line.form.hides:
            self._notice_nan(nest, line)
        for k in range(line.width):
            operands = [
                self._read(nest, access, k, dtype)
                for access, dtype in zip(line.accesses, line.form.dtypes, strict=True)
            ]
            self.body.append(f"v{line.number}_{k} = {line.form.pattern.format(*operands)}")
            if line.form.stops:
                self.body.append(f"bad = bad | int64({line.form.stops.format(*operands)})")

    def _notice_nan(self, nest: Nest, line: Line) -> None:
        """Notice a NaN of the backward pass that nothing shows later: the engine may have none."""
        for access in line.accesses:
            if not isinstance(access, Access) or self.plan.phase(access.root) == "forward":
                continue
            dtype = element_dtype(self.plan.kind(Ref(access.root)))
            for k in range(line.width if dtype.kind == "f" else 0):
                element = self._read(nest, access, k, dtype)
                self.body.append(f"bad = bad | int64({element} != {element})")

    def _steps(self, nest: Nest, line: Line) -> Iterator[tuple[int, str]]:
        """Give what joins the elements of a total: which element, and what."""
        form = line.form
        if isinstance(form, Sum):
            for k, target in enumerate(form.targets):
                yield target, self._read(nest, line.accesses[0], k, form.inner)
            return
        dtype = element_dtype(self.plan.kind(Ref(line.number)))
        first, second = line.accesses
        for i, k, j in np.ndindex(form.rows, form.inner, form.columns):
            x = self._read(nest, first, i * form.inner + k, dtype)
            y = self._read(nest, second, k * form.columns + j, dtype)
            yield i * form.columns + j, f"product({x}, {y})"

    def _row_total(self, line: Line, dtype: Any, steps: list[tuple[int, str]]) -> None:
        begun: set[int] = set()
        how = _how(line)
        for target, element in steps:
            name = f"v{line.number}_{target}"
            text = forms.combine(how, dtype, name, element) if target in begun else element
            begun.add(target)
            self.body.append(f"{name} = {text}")
        self._divide(line, dtype, self.body)

    def _named_total(self, line: Line, dtype: Any, steps: list[tuple[int, str]]) -> None:
        how = _how(line)
        for k in range(line.width):
            self.before.append(f"v{line.number}_{k} = {forms.start(how, dtype)}")
        for target, element in steps:
            name = f"v{line.number}_{target}"
            self.body.append(f"{name} = {forms.combine(how, dtype, name, element)}")
        self._divide(line, dtype, self.after)

    def _divide(self, line: Line, dtype: Any, text: list[str]) -> None:
        if _how(line) == "mean":
            for k in range(line.width):
                name = f"v{line.number}_{k}"
                text.append(f"{name} = {name} / {forms.number(line.form.terms, dtype)}")

    def _total_in_memory(self, line: Line, dtype: Any, steps: list[tuple[int, str]]) -> None:
        """Add to elements in memory, where another loop runs inside that over what is added."""
        number, how = line.number, _how(line)
        self.memory.add(number)
        size = self.plan.kind(Ref(number)).size
        start = _stored(forms.start(how, dtype), dtype)
        self.before += [f"for k in range({size}):", f"    b{number}[k] = {start}"]
        for target, element in steps:
            place = f"b{number}[{self.turns.index(line.loop_strides, target)}]"
            text = forms.combine(how, dtype, _loaded(place, dtype), element)
            self.body.append(f"{place} = {_stored(text, dtype)}")
        after = []
        if how == "mean":
            after.append(f"b{number}[k] = b{number}[k] / {forms.number(line.form.terms, dtype)}")
        if number in self.checked and dtype.kind == "f":
            after.append(f"bad = bad | unusual(b{number}[k])")
        if after:
            self.after += [f"for k in range({size}):", *(f"    {text}" for text in after)]

    def _store(self, line: Line, dtype: Any) -> None:
        number = line.number
        text = self.body if line.is_row else self.after
        for k in range(line.width):
            name = f"v{number}_{k}"
            if number in self.checked and dtype.kind == "f":
                text.append(f"bad = bad | unusual({name})")
            if number in self.memory:
                strides = line.loop_strides if line.is_row else ()
                text.append(f"b{number}[{self.turns.index(strides, k)}] = {_stored(name, dtype)}")

    def _read(self, nest: Nest, access: Any, k: int, target: np.dtype[Any]) -> str:
        """Write how an element is read, as another dtype."""
        if not isinstance(access, Access):
            return forms.number(access, target)
        root, offset = access.root, access.offsets[k]
        kind = self.plan.kind(Ref(root))
        source = element_dtype(kind)
        is_own = root in self.inside
        if (is_own and self._has_name(nest, access)) or (not is_own and not kind.shape):
            name = f"v{root}_{offset}"
        else:
            name = self._load(access, offset, source)
        if not is_own:
            self.read_from[root] = None
        return forms.cast(name, source, target)

    def _has_name(self, nest: Nest, access: Access) -> bool:
        is_here = self.plan.groups[self.plan.home[access.root]] is nest
        inline = is_here and self.plan.is_inline(access, nest.loops)
        return inline or self.plan.is_named(access)

    def _load(self, access: Access, offset: int, dtype: np.dtype[Any]) -> str:
        key = access.root, access.loop_strides, offset
        if key not in self.cache:
            self.memory |= {access.root} & set(self.inside)
            place = f"b{access.root}[{self.turns.index(access.loop_strides, offset)}]"
            self.cache[key] = f"r{len(self.cache)}"
            self.body.append(f"{self.cache[key]} = {_loaded(place, dtype)}")
        return self.cache[key]


class LoopWriter(Writer):
    """Writes the kernel that runs a program many times, on what it gave the time before.

    It returns how many times went well, and leaves what is carried as it was before the first that
    did not.  ``carried`` says by output which input it is for the next time, ``stacked`` of which
    outputs all are asked for; of others the last.
    """

    def __init__(
        self, plan: Plan, nests: Sequence[Nest], carried: Mapping[int, int], stacked: Set[int]
    ) -> None:
        self.carried, self.stacked = carried, stacked
        numbers = {n for n in plan.line if not plan.kind(Ref(n)).is_array}
        super().__init__(plan, nests, set(), {o.number for o in plan.outputs} | numbers)

    def kernel(self) -> Kernel:
        """Give the whole function."""
        names = ", ".join(p.name for p in self.parameters)
        text = [f"def kernel({names}):", "    failed = bad = done = 0", *self._stack()]
        text += ["    for step in range(count):", *(f"        {line}" for line in self.lines)]
        text += ["        if failed | bad:", "            break"]
        text += [f"        {line}" for line in self._commit()] + ["        done = step + 1"]
        for i in sorted(self.carried.values()):
            if not self.plan.kind(Ref(i)).shape:
                text.append(f"    f{i}[0] = {_stored(f'v{i}_0', self._dtype(i))}")
        size = sum(prod(nest.loops) * len(nest.lines) for nest in self.nests)
        return Kernel("\n".join([*text, "    return done", ""]), tuple(self.parameters), size)

    def _dtype(self, number: int) -> np.dtype[Any]:
        return element_dtype(self.plan.kind(Ref(number)))

    def _write(self) -> None:
        super()._write()
        for position, output in enumerate(self.plan.outputs):
            if not self._is_named(output.number) and output.number in self.inside:
                self.memory.add(output.number)
            if position in self.carried:
                self.read_from[self.carried[position]] = None

    def _is_named(self, number: int) -> bool:
        line = self.inside.get(number)
        return line.is_named if line else not self.plan.kind(Ref(number)).shape

    def _commit(self) -> Iterator[str]:
        """Write what was computed to where the next time reads it."""
        later = []
        for position, output in enumerate(self.plan.outputs):
            number, size = output.number, self.plan.kind(output).size
            target = self.carried.get(position)
            if position in self.stacked:
                yield from self._copied(number, f"s{position}", f"step * {size} + ", size)
            elif target is None:
                yield from self._copied(number, f"s{position}", "", size)
            elif self.plan.kind(output).shape:
                yield from self._copied(number, f"b{target}", "", size)
            else:
                yield f"n{target} = v{number}_0"
                later.append(f"v{target}_0 = n{target}")
        yield from later

    def _copied(self, number: int, target: str, place: str, size: int) -> Iterator[str]:
        if self._is_named(number):
            for k in range(size):
                yield f"{target}[{place}{k}] = {_stored(f'v{number}_{k}', self._dtype(number))}"
        else:
            yield f"for k in range({size}):"
            yield f"    {target}[{place}k] = b{number}[k]"

    def _parameters(self) -> list[Parameter]:
        states = set(self.carried.values())
        result = [Parameter("count", -1, "count", Kind(int))]
        for p in super()._parameters():
            is_state = p.role == "array" and p.number in states
            result.append(p._replace(role="state") if is_state else p)
        for number in sorted(states):
            kind = self.plan.kind(Ref(number))
            if not kind.shape:
                result.append(Parameter(f"f{number}", number, "final", kind))
        for position, output in enumerate(self.plan.outputs):
            if position not in self.carried:
                role = "stack" if position in self.stacked else "last"
                result.append(Parameter(f"s{position}", position, role, self.plan.kind(output)))
        return result


def _how(line: Line) -> str:
    return line.form.how if isinstance(line.form, Sum) else "sum"


def _loaded(place: str, dtype: np.dtype[Any]) -> str:
    return f"({place} != 0)" if dtype == np.dtype(bool) else place


def _stored(text: str, dtype: np.dtype[Any]) -> str:
    return f"uint8({text})" if dtype == np.dtype(bool) else text


class _Turns:
    """The loops of a nest: axes that all that is read and written goes through as one are one."""

    def __init__(self, nest: Nest) -> None:
        strides = [line.loop_strides for line in nest.lines]
        for line in nest.lines:
            strides += [a.loop_strides for a in line.accesses if isinstance(a, Access)]
        self.counts: list[int] = []
        self.axes: list[int] = []  # the last of the axes that each loop stands for
        for axis, count in enumerate(nest.loops):
            if count == 1:
                continue
            last = self.axes[-1] if self.axes else None
            if last is not None and all(s[last] == s[axis] * count for s in strides if s):
                self.counts[-1] *= count
                self.axes[-1] = axis
            else:
                self.counts.append(count)
                self.axes.append(axis)

    def index(self, strides: Shape, offset: int) -> str:
        """Write the place of an element."""
        terms = []
        for depth, axis in enumerate(self.axes if strides else ()):
            if strides[axis]:
                terms.append(f"i{depth}" if strides[axis] == 1 else f"i{depth} * {strides[axis]}")
        if offset or not terms:
            terms.append(str(offset))
        return " + ".join(terms)
