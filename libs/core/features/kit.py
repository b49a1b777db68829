"""How a feature is declared: one function, compiled once, called for one row live and for thousands in a batch."""

from __future__ import annotations

import hashlib
import inspect
import math
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec
import numpy as np
from numba import types
from numba.core.caching import FunctionCache, IndexDataCacheFile
from numba.core.ccallback import CFunc
from numba.core.sigutils import normalize_signature
from numpy.typing import NDArray

from libs.core.features import garch_likelihood, inputs, parts

FORGOTTEN: Final = 1e-12
"""A recursion has forgotten its seed when the seed's weight is below this."""

_F = types.CPointer(types.float64)  # type: ignore[no-untyped-call]
_I = types.CPointer(types.int64)  # type: ignore[no-untyped-call]
_SIGNATURE: Final[Any] = normalize_signature(types.void(_F, _F, _F, _F, _I, _F))  # type: ignore[no-untyped-call]

Kernel = Callable[[Any, Any, Any, Any, Any, Any], None]
Count = int | Callable[..., int]


class View:
    """Stands in for a pointer where kernels run as plain Python; an index outside the array raises IndexError."""

    __slots__ = ("_flat", "_origin")

    def __init__(self, array: NDArray[np.float64], origin: int) -> None:
        self._flat, self._origin = array.reshape(-1), int(origin)

    def __getitem__(self, index: int) -> float:
        return float(self._flat[self._at(index)])

    def __setitem__(self, index: int, value: float) -> None:
        self._flat[self._at(index)] = value

    def _at(self, index: int) -> int:
        at = self._origin + index
        if not 0 <= at < len(self._flat):
            raise IndexError(f"index {index} lies outside what the kernel may touch")
        return at


class Output(msgspec.Struct, frozen=True, kw_only=True):
    """One value of a feature. `name` may hold parameters: "sma_{n}". low, high: bounds that it never leaves."""

    name: str
    unit: str
    low: float = -math.inf
    high: float = math.inf


class Definition(msgspec.Struct, frozen=True, kw_only=True):
    """What `feature` says about a kernel.

    Attributes:
        kernel: kernel(s, x, e, p, c, out), see `feature`.
        defaults: parameter names and values, in the order in which `p` holds them.
        state: float64 slots of `s`; lookback: bars of history read through x beside the present one.
        warmup: leading bars without a value. memory: bars after which a later start gives the same value within 1e-9;
            CUMULATIVE when it never does.
        needs: extra inputs without which it is NaN: trades, quotes, book, leader, digits, outside.
        oracle: what it is tested against.
    """

    name: str
    version: int
    kernel: Kernel
    outputs: tuple[Output, ...]
    defaults: dict[str, float]
    state: Count
    lookback: Count
    warmup: Count
    memory: Count
    needs: tuple[str, ...]
    oracle: str
    source: str
    doc: str
    file: str

    @property
    def reads(self) -> frozenset[str]:
        """Global names that the kernel mentions, columns of bars among them."""
        return frozenset(self.kernel.__code__.co_names)

    def resolve(self, count: Count, params: Mapping[str, float]) -> int:
        """A count of this definition at `params`."""
        return count if isinstance(count, int) else int(count(**params))


REGISTRY: Final[dict[str, Definition]] = {}
"""Every declared kernel by its name."""


def forgets(alpha: float, reach: int = 0) -> int:
    """Bars after which a recursion e += alpha (x - e), seeded `reach` bars after the start, has forgotten its seed."""
    return reach + math.ceil(math.log(FORGOTTEN) / math.log1p(-alpha))


def feature(
    *,
    outputs: Sequence[Output],
    warmup: Count,
    memory: Count,
    oracle: str,
    source: str,
    state: Count = 0,
    lookback: Count = 0,
    version: int = 1,
    needs: Sequence[str] = (),
    **defaults: float,
) -> Callable[[Kernel], Kernel]:
    """Declare a kernel: the function below it is the feature, streaming and batch alike.

    The function takes pointers to float64 (c: int64) and handles c[ROWS] consecutive bars:
        s: its own state, all zero before the first bar; nothing else may survive a call.
        x: columns of bars with history, x[CLOSE * w + j - k] is the close k bars before row j, w = c[WIDTH].
        e: extra columns, e[COLUMN * v + j], v = c[STRIDE]; NaN where there is none.
        p: its parameters, in the order of `defaults`.
        c: ROWS, FIRST (index of row 0 since the first bar), NUMBER (bar number of row 0), WIDTH, STRIDE, INTERVAL.
        out: out[f * v + j] is output f of row j; NaN until `warmup`.
    It is compiled without bounds checks: what it reads of x must lie within `lookback`.
    Divisions by zero give inf or NaN as in numpy; give the neutral value of the definition instead.

    Raises:
        ValueError: a name is taken by another file's feature.
    """

    def declare(kernel: Kernel) -> Kernel:
        name = kernel.__name__
        known = REGISTRY.get(name)
        file = kernel.__code__.co_filename
        if known is not None and known.file != file:
            raise ValueError(f"feature {name!r} is declared in {known.file} and again in {file}; rename one")
        definition = Definition(
            name=name,
            version=version,
            kernel=kernel,
            outputs=tuple(outputs),
            defaults=dict(defaults),
            state=state,
            lookback=lookback,
            warmup=warmup,
            memory=memory,
            needs=tuple(needs),
            oracle=oracle,
            source=source,
            doc=(kernel.__doc__ or "").strip(),
            file=file,
        )
        REGISTRY[name] = definition
        return kernel

    return declare


_SHARED: Final = hashlib.sha256(
    "".join(inspect.getsource(module) for module in (inputs, parts, garch_likelihood)).encode()
).hexdigest()


class _Cache(FunctionCache):
    """numba's cache looks only at the file of the kernel; this one also at what is compiled into it from elsewhere."""

    def __init__(self, kernel: Kernel) -> None:
        super().__init__(kernel)  # type: ignore[no-untyped-call]
        self._cache_file = IndexDataCacheFile(  # type: ignore[no-untyped-call]
            cache_path=self._cache_path,
            filename_base=self._impl.filename_base,
            source_stamp=(self._impl.locator.get_source_stamp(), _SHARED),
        )


_compiled: dict[Kernel, Any] = {}
_plain: list[Kernel] = []

PLAIN: Final = os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0")
"""Kernels run as plain Python with bounds checks: slow, for coverage and for finding a fault."""


def address(definition: Definition) -> int:
    """Address of the compiled kernel, compiled at first use and then loaded from numba's cache; its index when PLAIN.

    Raises:
        ValueError: it does not compile; the text says why.
    """
    if PLAIN:
        _plain.append(definition.kernel)
        return len(_plain) - 1
    if definition.kernel not in _compiled:
        try:
            compiled: Any = CFunc(definition.kernel, _SIGNATURE, {}, {"error_model": "numpy"})
            compiled._cache = _Cache(definition.kernel)
            compiled.compile()
        except Exception as err:
            raise ValueError(
                f"feature {definition.name!r} in {definition.file} does not compile: {_reason(err)}"
            ) from err
        _compiled[definition.kernel] = compiled
    return int(_compiled[definition.kernel].address)


def _reason(err: Exception) -> str:
    """What numba says, on one line: what it cannot do, with what, and where."""
    lines = [line.strip() for line in str(err).splitlines()]
    told = [line for line in lines if line and not line.startswith(("Failed in", "During:", "There are", "- Of which"))]
    places = [line.rstrip(":") for line in told if line.startswith('File "')]
    return " ".join([*told[:1], *(line for line in told[1:2] if line.startswith(">>>")), *places[:1]]) or repr(err)


def plain_kernel(number: int) -> Kernel:
    """The kernel that `address` numbered, when PLAIN."""
    return _plain[number]
