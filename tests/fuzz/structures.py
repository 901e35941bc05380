"""JSON structures near a valid one, for hypothesis, which makes a failing one small by itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import hypothesis
from hypothesis import strategies as st

from tests.fuzz.cases import Bench, Outcome

_LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.sampled_from([2**31, 10**30, -1])
)
ANYTHING = st.recursive(
    _LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=8,
)  # fmt: skip


def like(tree: Any) -> st.SearchStrategy[Any]:
    """Values of the shape of `tree`, some parts of it changed or missing."""
    if isinstance(tree, dict):
        parts = {key: like(value) for key, value in list(tree.items())[:8]}
        exact = st.fixed_dictionaries(parts)
        return st.one_of(exact, exact, st.fixed_dictionaries({}, optional=parts), ANYTHING)
    if isinstance(tree, list) and tree and isinstance(tree[0], int | float):
        numbers = st.lists(st.floats(-1e4, 1e4) | _LEAVES, max_size=4).map(lambda some: [*some, *tree[len(some) :]])
        return st.one_of(st.just(tree), numbers, ANYTHING)
    if isinstance(tree, list) and tree:
        return st.one_of(st.lists(st.one_of(*map(like, tree[:3])), max_size=4), st.just(tree), ANYTHING)
    return st.one_of(st.just(tree), st.just(tree), _LEAVES)


class Found(Exception):
    """A crash, raised for hypothesis to make smaller."""


def explore(bench: Bench, name: str, seed: int, examples: int, report: Callable[[Outcome], None]) -> str | None:
    """Try `examples` structures as the JSON file `name`; the smallest content that crashes, None if none does."""
    smallest: list[bytes] = []

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=examples, deadline=None, database=None, suppress_health_check=list(hypothesis.HealthCheck),
        phases=(hypothesis.Phase.generate, hypothesis.Phase.shrink), print_blob=False,
    )  # fmt: skip
    @hypothesis.given(like(bench.trees[name]))
    def try_one(tree: Any) -> None:
        content = json.dumps(tree).encode()
        outcome = bench.run_content(name, content)
        report(outcome)
        if outcome.kind == "crash":
            smallest[:] = [content]
            raise Found(outcome.detail)

    try:
        try_one()
    except Found as error:
        return f"{smallest[0].decode()}\n{error}"
    return None
