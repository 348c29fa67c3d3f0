"""A mistake of sradc/SmallPebble, rebuilt small, with a right twin.

https://github.com/sradc/SmallPebble/blob/master/smallpebble/smallpebble.py
"""


def setat(a, indices, b):
    """Give a copy of a, with b at some places."""
    out = a.copy()
    out[indices] = b
    return out


def gradients_of_setat(g, a, indices, b):
    """Make the zeros for a in the gradient that b has yet to read."""

    def by_a(g):
        g[indices] = 0
        return g

    def by_b(g):
        return g[indices]

    return by_a(g), by_b(g)


def right_gradients_of_setat(g, a, indices, b):
    """Let each read what arrived."""
    da = g.copy()
    da[indices] = 0
    return da, g[indices]
