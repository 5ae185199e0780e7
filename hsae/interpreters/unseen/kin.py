"""How far a wrong answer is from the right one in the tree of main parents.

All roots hang on one node above them, so that any two concepts have a lowest common ancestor.

    distance(a, b) = depth(a) + depth(b) - 2 depth(their lowest common ancestor)
"""

from typing import final

import numpy as np
from jaxtyping import Bool, Int64

from hsae.concepts import Taxonomy


@final
class Tree:
    """The way to every concept from the root, as a table."""

    def __init__(self, taxonomy: Taxonomy):
        depth = np.zeros(len(taxonomy), np.int64)
        for row, parent in enumerate(taxonomy.parents):
            depth[row] = depth[parent] + 1 if parent >= 0 else 0
        self.depth: Int64[np.ndarray, " concept"] = depth
        self.ways = np.full((len(taxonomy), int(depth.max()) + 1), -1, np.int64)
        """[concept depth]: who stands above each concept at each depth, itself at its own, -1 below it."""
        for row, parent in enumerate(taxonomy.parents):
            if parent >= 0:
                self.ways[row] = self.ways[parent]
            self.ways[row, depth[row]] = row

    def distance(
        self, a: Int64[np.ndarray, " row"], b: Int64[np.ndarray, " row"]
    ) -> Int64[np.ndarray, " row"]:
        """Edges between pairs of concepts."""
        shared = ((self.ways[a] == self.ways[b]) & (self.ways[a] >= 0)).sum(1)
        # depths counted from the node above all roots: a common way of k nodes ends at depth k
        return self.depth[a] + self.depth[b] + 2 - 2 * shared

    def holds(self, a: Int64[np.ndarray, " row"], b: Int64[np.ndarray, " row"]) -> Bool[np.ndarray, " row"]:
        """Whether a is b or stands above it."""
        return self.ways[b, self.depth[a]] == a

    def expected_distance(self, a: Int64[np.ndarray, " row"]) -> np.ndarray:
        """Mean distance of each to a concept drawn from all of them.

        A node on the way to a is on the way of exactly those at or below it, so no pair need be looked at.
        """
        below = np.bincount(self.ways[self.ways >= 0], minlength=len(self.depth)) / len(self.depth)
        shared = np.where(self.ways[a] >= 0, below[self.ways[a]], 0).sum(1)
        return self.depth[a] + self.depth.mean() + 2 - 2 * shared
