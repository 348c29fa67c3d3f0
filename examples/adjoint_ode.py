"""A differential equation as one operation: all its gradients from one adjoint equation.

``trajectory`` solves y' = f(y, rates) by Runge-Kutta steps, in plain NumPy and without a record of
them.  Its gradients by the rates and by the initial state come from the adjoint a of y, which obeys
a' = -a df/dy backwards in time.  Solving that is all the work, so it is done once for both: the
rule is a joint one.  The derivatives of f are tl.vjp's.

Run it with `python examples/adjoint_ode.py`.
"""

import numpy as np

import tinygrad_lab as tl

STEPS = 20  # between two of the times that are asked for


def hares_and_lynxes(y, rates):
    """The right-hand side: hares are born and eaten, lynxes eat and die (Lotka and Volterra)."""
    hares, lynxes = y[0], y[1]
    meetings = hares * lynxes
    return np.stack(
        [rates[0] * hares - rates[1] * meetings, rates[2] * meetings - rates[3] * lynxes]
    )


def advanced(f, y, duration):
    """The state after some time, by the classical Runge-Kutta method."""
    h = duration / STEPS
    for _ in range(STEPS):
        a = f(y)
        b = f(y + h / 2 * a)
        c = f(y + h / 2 * b)
        d = f(y + h * c)
        y = y + h / 6 * (a + 2 * b + 2 * c + d)
    return y


@tl.primitive
def trajectory(rates, start, times):
    """The states at some times, the first of which is the start's."""
    states = [start]
    for duration in np.diff(times):
        states.append(advanced(lambda y: hares_and_lynxes(y, rates), states[-1], duration))
    return np.stack(states)


def adjoint(argnums, g, states, rates, start, times):
    """Gradients by the rates and the start: once backwards through time for both."""
    n = start.size

    def slopes(z):  # of the adjoint and, behind it, of the gradient by the rates; y goes along
        y, a = z[:n], z[n : 2 * n]
        change, pullback = tl.vjp(hares_and_lynxes, y, rates)
        by_y, by_rates = pullback(a)
        return np.concatenate([change, -by_y, -by_rates])

    a, by_rates = g[-1], np.zeros_like(rates)
    for k in range(len(times) - 1, 0, -1):
        z = np.concatenate([states[k], a, by_rates])
        z = advanced(slopes, z, times[k - 1] - times[k])
        a, by_rates = z[n : 2 * n] + g[k - 1], z[2 * n :]
    gradients = {0: by_rates, 1: a}
    return [gradients[n] for n in argnums]


tl.defvjp_joint(trajectory, adjoint, argnums=[0, 1])


def main():
    """Compare the gradients of a loss with central differences of it."""
    times = np.linspace(0, 4, 9)
    rates, start = np.array([0.8, 0.6, 0.2, 0.9]), np.array([1.8, 1.2])
    observed = trajectory(np.array([1.0, 0.5, 0.3, 0.8]), np.array([2.0, 1.0]), times)

    def loss(rates, start):
        return np.mean((trajectory(rates, start, times) - observed) ** 2)

    by_rates, by_start = tl.grad(loss, argnums=(0, 1))(rates, start)
    h = 1e-5
    differences = [
        (loss(rates + h * e, start) - loss(rates - h * e, start)) / (2 * h) for e in np.eye(4)
    ]
    print("by the rates:       ", np.round(by_rates, 5))
    print("central differences:", np.round(differences, 5))
    print("by the start:       ", np.round(by_start, 5))


if __name__ == "__main__":
    main()
