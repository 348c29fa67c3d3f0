"""Matplotlib plots of training: curves, gradients, weights, images, attention, predictions.

Every function takes its data first and an optional ``ax``, draws on that one ``Axes`` and returns
it; small multiples are its ``child_axes``. None of them shows a window, changes ``rcParams`` or
draws random numbers that it was not given a generator for, so they compose with ``plt.subplots``
and with ``plt.style.context`` (a dark style included). Colours are told apart under every common
colour-vision deficiency, and are never the only difference.

They are had from ``tinygrad_lab.viz``; ``loss_surface`` gives the numbers that
``plot_loss_surface`` draws.

Not for pictures of the computation graph: those are :func:`tinygrad_lab.viz.graph`.
"""
