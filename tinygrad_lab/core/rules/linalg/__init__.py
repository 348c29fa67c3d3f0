"""Linear algebra, under the headings of NumPy's documentation.

Inverses, determinants and decompositions are batched over the leading axes.  Sources: M. B. Giles,
"Collected matrix derivative results for forward and reverse mode algorithmic differentiation"
(2008), for inverse, determinant, Cholesky factor, eigen- and singular values; for the
pseudoinverse, G. H. Golub and V. Pereyra, SIAM J. Numer. Anal. 10 (1973).

Conventions.  A function that reads one triangle of a symmetric matrix (``cholesky``, ``eigh``) has
the symmetric gradient, as if it had read both.  Where eigenvalues or singular values coincide,
their vectors are not unique.  What does not depend on the choice is right there (``spectra.py``),
and what does is not finite; the phase of a complex vector is such a choice.  Values alone share
evenly where they are equal, and a singular value of 0 gets nothing.  The determinant of a singular
matrix has its gradient, the cofactors, and the second derivative; a third is refused.
"""
