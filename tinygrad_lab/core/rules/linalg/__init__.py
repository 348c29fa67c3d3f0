"""Linear algebra, under the headings of NumPy's documentation.

Inverses, determinants and decompositions are batched over the leading axes.  Sources: M. B. Giles,
"Collected matrix derivative results for forward and reverse mode algorithmic differentiation"
(2008), for inverse, determinant, Cholesky factor, eigen- and singular values; for the
pseudoinverse, G. H. Golub and V. Pereyra, SIAM J. Numer. Anal. 10 (1973).

Conventions.  A function that reads one triangle of a symmetric matrix (``cholesky``, ``eigh``) has
the symmetric gradient, as if it had read both.  Where eigenvalues or singular values coincide,
their vectors are not unique: the terms that mix such vectors count as 0.  That is right for
symmetric functions of the equal values, and for the subspace that their vectors span together; what
else depends on the vectors within it has no derivative there.  A complex vector's phase is not
unique either: the gradient is right for what does not depend on it.  The determinant of a singular
matrix has its gradient, the cofactors, and the second derivative; a third is refused.
"""
