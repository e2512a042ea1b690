"""The pieces every detector works on: a block of rows and 20 ms steps, and the wait until a step is settled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from detectors.arrays import BoolArray, FloatArray, IntArray

T = TypeVar("T", bound=np.generic)

HOP_SAMPLES = 80
HOPS_PER_STEP = 2
STEP_SAMPLES = HOP_SAMPLES * HOPS_PER_STEP
STEP_SECONDS = 0.02
STEPS_PER_SECOND = 50
BLOCK_STEPS = 25
"""Steps are worked on from one half of a second of settled ones to the next: nothing is told in between."""
SETTLE_STEPS = 15
"""A step's label is final 0.3 s later: 200 ms that a pause may still be filled, 100 ms that speech must last."""
QUIET_DBOV = -100.0
"""Stands for digital silence where a logarithm would be minus infinity."""


@dataclass(frozen=True, slots=True)
class Settled:
    """The steps of a block whose labels are final: (rows, steps); row r has `counts[r]` of them, all of one second."""

    counts: IntArray
    first_step: IntArray
    """Absolute index of each row's first step; time = index * 0.02 s. Negative before a call's beginning."""
    known: BoolArray
    """False where audio was lost, before the row began, and past `counts`."""
    speech: BoolArray
    """True where this side speaks; never where not `known`."""
    through: BoolArray
    """`speech`, and the losses of at most 0.2 s inside it, so that a rate is not interrupted by a lost packet."""


class Picked:
    """The rows that a pass works on, out of a detector's columns; used like a structured array of just these rows.

    A field is copied when it is first asked for, so that loops over steps run through memory without gaps, and
    `put_back` writes all of them again. `at` and `put` reach single cells, for fields too long to copy.
    """

    def __init__(self, columns: NDArray[np.void], rows: IntArray) -> None:
        self._columns = columns
        self._rows = rows
        self._fields: dict[str, NDArray[Any]] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, name: str) -> NDArray[Any]:
        field = self._fields.get(name)
        if field is None:
            field = self._fields[name] = self._columns[name][self._rows]
        return field

    def __setitem__(self, name: str, values: Any) -> None:
        field = self._fields.get(name)
        if field is None:
            kind = self._columns.dtype[name]
            field = self._fields[name] = np.empty((len(self._rows), *kind.shape), kind.base)
        field[...] = values

    def at(self, name: str, row: IntArray, column: IntArray) -> NDArray[Any]:
        """Cells (row, column) of a field that has one axis besides the rows."""
        return np.asarray(self._columns[name][self._rows[row], column])

    def put(self, name: str, row: IntArray, column: IntArray, values: NDArray[Any]) -> None:
        """Set cells (row, column) of a field that has one axis besides the rows."""
        self._columns[name][self._rows[row], column] = values

    def put_back(self) -> None:
        """Write what was taken, and may have changed, into the columns."""
        for name, field in self._fields.items():
            self._columns[name][self._rows] = field


State = NDArray[np.void] | Picked
"""Rows of a detector's columns, as they are or picked."""


def delay(waiting: NDArray[T], fresh: NDArray[T], counts: IntArray) -> NDArray[T]:
    """Push `fresh` (rows, n) through the queue `waiting` (rows, length): returns what comes out, (rows, n).

    Row r takes part with its first `counts[r]` values; what comes out past them is meaningless. `waiting` is changed.
    """
    both = np.concatenate([waiting, fresh], axis=1)
    waiting[:] = stretch(both, counts, waiting.shape[1])
    return both[:, : fresh.shape[1]]


def stretch(values: NDArray[T], starts: IntArray, length: int) -> NDArray[T]:
    """(rows, length): `values` (rows, n) of each row from its own start on."""
    if (starts == starts[:1]).all():  # the usual case, and much the cheaper one
        return values[:, starts[0] : starts[0] + length]
    return np.take_along_axis(values, starts[:, None] + np.arange(length), axis=1)


def last(values: NDArray[T], counts: IntArray) -> NDArray[T]:
    """(rows,): each row's value in the last of its own `counts` columns of `values` (rows, n)."""
    return values[np.arange(len(values)), counts - 1]


def decibels(power: FloatArray) -> FloatArray:
    """10 * log10 of a mean square, float32, never below -100."""
    return np.asarray(10 * np.log10(np.maximum(power, np.float32(1e-10))), np.float32)


def within(counts: IntArray, columns: int) -> BoolArray:
    """(rows, columns): True where the column lies before the row's count."""
    return np.asarray(np.arange(columns) < counts[:, None])


def alive(counts: IntArray, columns: int) -> list[int]:
    """How many leading rows take part in each column, for rows sorted by falling count."""
    return [int(n) for n in np.searchsorted(-counts, -np.arange(columns), side="left")]
