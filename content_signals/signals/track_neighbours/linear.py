"""The small matrices of a truncated singular value decomposition, and sums in a fixed order.

BLAS adds in an order that hangs on the shapes of the matrices, and these hang on how many rows come together. What goes
into the table is therefore either summed in a fixed order (`sums`, `times`, `gram`: no BLAS) or made of whole numbers,
which floating point adds exactly in any order (`nearest.py`). LAPACK sees one matrix of `columns` rows a day.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Matrix: TypeAlias = NDArray[np.float64]
Whole: TypeAlias = NDArray[np.int64]

# A direction whose share of the greatest is below this is rounding, not data.
_NOTHING = 1e-12


def signs(words: Whole, columns: int) -> Matrix:
    """Rows of +1 and -1, one for each bit of a row's hashes: random, and the same wherever a row turns up.

    Args:
        words: (rows, n), 64 bits each, n at least columns / 64.
    """
    bits = (words[:, :, None] >> np.arange(64)) & 1
    return np.where(bits.reshape(len(words), -1)[:, :columns] == 1, 1.0, -1.0)


def sums(rows: Matrix, starts: NDArray[np.intp]) -> Matrix:
    """The sum of each run of rows, added one after the other."""
    return np.add.reduceat(rows, starts, axis=0) if len(starts) else rows[:0]


def times(rows: Matrix, small: Matrix) -> Matrix:
    """`rows @ small`, each row's sum in a fixed order."""
    made: Matrix = np.einsum("ij,jk->ik", rows, small)
    return made


def gram(left: Matrix, right: Matrix) -> Matrix:
    """`left.T @ right`, summed over the rows in their order."""
    made: Matrix = np.einsum("ij,ik->jk", left, right)
    return made


def orthonormal(own: Matrix, columns: int | None = None) -> Matrix:
    """The matrix that makes orthonormal columns of W, the strongest first, from W'W.

    Fewer columns than W has where W has lost rank; at most `columns` of them.
    """
    values, vectors = np.linalg.eigh(own)
    order = np.argsort(-values, kind="stable")[:columns]
    kept = order[values[order] > _NOTHING * values.max()]
    made: Matrix = vectors[:, kept] / np.sqrt(values[kept])
    return made


def aligned(own: Matrix, against: Matrix) -> Matrix:
    """As `orthonormal`, turned so that the columns of W times the result lie as close as they can to those of R.

    A singular vector may as well have the other sign, and vectors of equal singular values any rotation: R, the same
    every day, decides. The turn is the polar factor of V'R (the orthogonal Procrustes problem: Schönemann 1966), and
    W times the result hangs on the span of V and on R alone.

    Args:
        own: W'W.
        against: W'R; as many columns as the vectors shall have.
    """
    basis = orthonormal(own, against.shape[1])
    left, _, right = np.linalg.svd(basis.T @ against, full_matrices=False)
    made: Matrix = basis @ (left @ right)
    return made
