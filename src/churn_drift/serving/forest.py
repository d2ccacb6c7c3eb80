"""A model's trees for one row at a time, in numpy: XGBoost's margin to the bit, in a ninth of its time.

QuickScorer (Lucchese et al., SIGIR 2015) with every mask made beforehand. A tree's leaves, from left to right, are the
bits of a mask. A test that fails rules out the leaves on its left, one that passes those on its right; what no test
of a tree rules out is the leaf where the row ends. The thresholds of a feature cut its values into few bins, so each
bin of each feature has one mask a tree, and a row ANDs those of its 55 bins, for all trees at once.
"""

import json
import random
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import inf, log, nan
from typing import Any

import numpy as np
import numpy.typing as npt
import xgboost

from churn_drift.columns import Numbers
from churn_drift.errors import ModelError
from churn_drift.model.features import FEATURES, Levels, Matrix

Masks = npt.NDArray[np.uint64]

LEAVES = 64
"""Of a tree at most: the bits of a mask."""
LARGEST = 64 * 2**20
"""Bytes of all masks at most (200 trees of 64 bins take 2 MB): beyond it the caches of a CPU make it slow."""

PROBES = 256
"""Rows that a forest is proved on when it is made: some 10 ms."""

_ALL = 2**64 - 1
_LOWEST = float(np.finfo(np.float32).min)
_EXPONENT, _BIAS = 52, 1023
"""Of a float64: that of 2.0 ** k is k + 1023, and stands above 52 bits."""


@dataclass(frozen=True)
class Tree:
    """One tree as XGBoost writes it to JSON; each list has an entry a node.

    left, right   children; -1 at a leaf
    feature       place in features.FEATURES
    value         threshold (below it a row goes left), at a leaf its weight: as float32
    default_left  where a missing value goes
    categories    node to the codes that go right
    """

    left: list[int]
    right: list[int]
    feature: list[int]
    value: list[float]
    default_left: list[int]
    categories: dict[int, frozenset[int]]

    @classmethod
    def of_json(cls, tree: dict[str, Any]) -> "Tree":
        """From the document's own arrays."""
        ends = zip(tree["categories_nodes"], tree["categories_segments"], tree["categories_sizes"], strict=True)
        return cls(
            left=tree["left_children"],
            right=tree["right_children"],
            feature=tree["split_indices"],
            value=np.array(tree["split_conditions"], dtype=np.float32).tolist(),
            default_left=tree["default_left"],
            categories={node: frozenset(tree["categories"][at : at + size]) for node, at, size in ends},
        )

    def goes_left(self, node: int, lower: Numbers) -> npt.NDArray[np.bool_]:
        """Whether the rows of each bin go left: missing, then the bins with these lower edges, then missing again."""
        codes = self.categories.get(node)
        inside = lower < self.value[node] if codes is None else [code not in codes for code in lower.tolist()]
        missing = bool(self.default_left[node])
        return np.array([missing, *inside, missing])


@dataclass(frozen=True)
class Forest:
    """The trees of a booster as masks. Immutable, safe to share between threads.

    edges    for each feature the bins' lower edges, then infinity: bin k holds what is at or above edge k - 1 and
             below edge k; NaN and infinities fall outside, where a missing value belongs
    starts   for each feature its first row of masks
    masks    shape (all bins, trees): the leaves that a bin's values leave possible
    leaves   shape (trees * LEAVES,), float32: weights, those of the first tree with the base margin
    first    shape (trees,): where a tree's leaves start, less the bias of a float's exponent
    """

    edges: list[list[float]]
    starts: list[int]
    masks: Masks
    leaves: Matrix
    first: npt.NDArray[np.int64]

    @classmethod
    def of_booster(cls, model: xgboost.Booster, levels: Levels) -> "Forest":
        """The booster's trees, proved: its margins come out to the bit on rows made of random bins.

        Raises ModelError, saying why, where the trees cannot be held as masks or a margin comes out otherwise.
        """
        trees, types, base_score = _read(model)
        edges = _edges(trees, types=types, levels=levels)
        starts, masks, leaves = _masks(trees, edges)
        probes = np.array(_probes(edges), dtype=np.float32)
        margins = model.inplace_predict(probes, predict_type="margin").tolist()
        first = np.arange(len(trees)) * LEAVES - _BIAS
        for base in _base_margins(np.float32(base_score)):
            with_base = leaves.copy()
            with_base[0] += base
            forest = cls(edges, starts, masks, with_base.ravel(), first)
            if [forest.margin(row) for row in probes.tolist()] == margins:
                return forest
        raise ModelError("the trees as masks give other margins than XGBoost")

    def margin(self, row: Sequence[float]) -> float:
        """Log odds of churn of a row of features, as float32 holds them; what is NaN or infinite is missing."""
        places = zip(self.starts, self.edges, row, strict=True)
        bins = [start + bisect_right(edges, value) for start, edges, value in places]
        possible = np.bitwise_and.reduce(self.masks.take(bins, axis=0), axis=0)
        lowest = (possible & -possible).astype(np.float64).view(np.int64) >> _EXPONENT
        return float(self.leaves.take(lowest + self.first).cumsum()[-1])  # one after another, as XGBoost adds


def _read(model: xgboost.Booster) -> tuple[list[Tree], list[str], float]:
    """The booster's trees, its features' types, and the churn rate that it starts from, out of its own JSON."""
    document = json.loads(bytes(model.save_raw("json")))["learner"]
    try:
        kind = (document["gradient_booster"]["name"], document["objective"]["name"])
        trees = [Tree.of_json(tree) for tree in document["gradient_booster"]["model"]["trees"]]
        base_score = json.loads(document["learner_model_param"]["base_score"])[0]
    except (KeyError, TypeError) as error:
        raise ModelError(f"XGBoost {xgboost.__version__} writes its trees in a form unknown here: {error!r}") from None
    if kind != ("gbtree", "binary:logistic"):
        raise ModelError(f"the model is {' of '.join(kind)}, masks are for gbtree of binary:logistic")
    if (widest := max(tree.left.count(-1) for tree in trees)) > LEAVES:
        raise ModelError(f"a tree has {widest} leaves, masks hold {LEAVES}")
    return trees, document["feature_types"], base_score


def _edges(trees: Sequence[Tree], *, types: Sequence[str], levels: Levels) -> list[list[float]]:
    """Of a number its thresholds, of a category every code: all that a test can tell apart."""
    cuts: list[set[float]] = [{_LOWEST} for _ in FEATURES]
    for tree in trees:
        for child, feature, value in zip(tree.left, tree.feature, tree.value, strict=True):
            if child >= 0 and value > _LOWEST:
                cuts[feature].add(value)
    for place, name in enumerate(FEATURES):
        if types[place] == "c":
            cuts[place] = {float(code) for code in range(len(levels[name]))}
    return [sorted(own | {inf}) for own in cuts]


def _masks(trees: Sequence[Tree], edges: list[list[float]]) -> tuple[list[int], Masks, Matrix]:
    """Where each feature's masks start, all masks, and each tree's leaves from left to right."""
    starts = [0, *accumulate(len(own) + 1 for own in edges)]
    if (size := 8 * starts[-1] * len(trees)) > LARGEST:
        raise ModelError(f"the masks would take {size / 2**20:.1f} MB, at most {LARGEST / 2**20:.1f} are kept")
    masks = np.full((len(trees), starts[-1]), _ALL, dtype=np.uint64)
    leaves = np.zeros((len(trees), LEAVES), dtype=np.float32)
    lower = [np.array(own[:-1]) for own in edges]
    for tree, allowed, weights in zip(trees, masks, leaves, strict=True):
        found: list[float] = []
        _rule_out(tree, 0, allowed, found, lower=lower, starts=starts)
        weights[: len(found)] = found
    return starts[:-1], np.ascontiguousarray(masks.T), leaves


def _rule_out(
    tree: Tree, node: int, allowed: Masks, leaves: list[float], *, lower: list[Numbers], starts: list[int]
) -> int:
    """Take from one tree's masks what the tests from a node on rule out; append its leaves, return their bits."""
    if tree.left[node] < 0:
        leaves.append(tree.value[node])
        return 1 << (len(leaves) - 1)
    on_left = _rule_out(tree, tree.left[node], allowed, leaves, lower=lower, starts=starts)
    on_right = _rule_out(tree, tree.right[node], allowed, leaves, lower=lower, starts=starts)
    feature = tree.feature[node]
    goes_left = tree.goes_left(node, lower[feature])
    allowed[starts[feature] : starts[feature + 1]] &= np.where(
        goes_left, np.uint64(_ALL ^ on_right), np.uint64(_ALL ^ on_left)
    )
    return on_left | on_right


def _base_margins(share: np.float32) -> list[np.float32]:
    """What the sum of the leaves starts from, then its neighbours: XGBoost's logarithm may be off in the last bit."""
    margin = np.float32(-log(np.float32(1) / share - np.float32(1)))
    return [margin, np.nextafter(margin, np.float32(inf)), np.nextafter(margin, np.float32(-inf))]


def _probes(edges: list[list[float]]) -> list[list[float]]:
    """Made-up rows, each a random bin of every feature, missing among them. Always the same."""
    draw = random.Random(0)  # noqa: S311  made-up rows, not secrets
    return [[draw.choice([*own[:-1], nan]) for own in edges] for _ in range(PROBES)]
