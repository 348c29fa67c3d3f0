"""What a network says of examples: outputs, classes, and the lines and rows that show them.

Not for how outputs are computed (``training.py``, ``networks.py``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinygrad_lab.lab.data import Array, Encoding

Labels = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Predictions:
    """Outputs, and the truth where it is known.

    Attributes
    ----------
    outputs
        Shape (n, 1): of the second of two classes; or (n, classes).
    encoding
        What the classes are called.
    threshold
        A single output above it is the second class.
    y
        Targets of the shape of ``outputs``; None where nobody knows.
    """

    outputs: Array
    encoding: Encoding
    threshold: float = 0.5
    y: Array | None = None

    @property
    def labels(self) -> Labels:
        """The class of each example as the network has it: 0, 1, ..., shape (n,)."""
        if self.outputs.shape[1] == 1:
            return (self.outputs[:, 0] > self.threshold).astype(np.int64)
        return self.outputs.argmax(axis=1)

    @property
    def true_labels(self) -> Labels | None:
        """The class of each example as it is, where that is known."""
        return None if self.y is None else Predictions(self.y, self.encoding).labels

    @property
    def loss(self) -> float | None:
        """The mean squared error, where the truth is known."""
        return None if self.y is None else float(np.mean(np.square(self.outputs - self.y)))

    @property
    def accuracy(self) -> float | None:
        """The share of examples whose class is right, where it is known."""
        truth = self.true_labels
        return None if truth is None else float(np.mean(self.labels == truth))

    def lines(self) -> list[str]:
        """Return a line an example, in the reports' format where classes are 0 and 1.

        Examples
        --------
        >>> Predictions(np.array([[0.00021]]), Encoding(), y=np.array([[0.0]])).lines()
        ['Iter1 | Ground truth: 0 | prediction: 0.00021 |']
        >>> Predictions(np.array([[0.1, 0.9]]), Encoding(classes=("lily", "rose"))).lines()
        ['Iter1 | prediction: rose (0.90000) |']
        """
        answers = [f"{output:.5f}" for output in self.outputs.max(axis=1)]
        if self.outputs.shape[1] > 1 or self.encoding.classes != Encoding().classes:
            names = self._names(self.labels)
            answers = [f"{name} ({number})" for name, number in zip(names, answers, strict=True)]
        facts = [f" Ground truth: {name} |" for name in self._names(self.true_labels)]
        pairs = zip(facts or [""] * len(answers), answers, strict=True)
        return [
            f"Iter{i} |{fact} prediction: {answer} |" for i, (fact, answer) in enumerate(pairs, 1)
        ]

    def rows(self) -> list[dict[str, Any]]:
        """Return a dict an example: truth where it is known, prediction, outputs.

        Examples
        --------
        >>> Predictions(np.array([[0.25]]), Encoding(), y=np.array([[0.0]])).rows()
        [{'truth': '0', 'prediction': '0', 'outputs': [0.25]}]
        """
        names = self._names(self.labels)
        facts = [{"truth": name} for name in self._names(self.true_labels)] or [{}] * len(names)
        return [
            {**fact, "prediction": name, "outputs": outputs}
            for fact, name, outputs in zip(facts, names, self.outputs.tolist(), strict=True)
        ]

    def _names(self, labels: Labels | None) -> list[str]:
        return [] if labels is None else [self.encoding.classes[label] for label in labels]
