"""Batch normalisation over two parts equals that over the whole batch. Real processes: test_ranks.py."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import Tensor, nn

from lightning_modules import synced_norm
from lightning_modules.synced_norm import synchronise


def layers() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv1d(3, 4, 1), nn.BatchNorm1d(4), nn.ReLU(), nn.Conv1d(4, 2, 1))


@pytest.fixture
def two_ranks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads in place of processes: each waits for the other's numbers."""
    given: dict[int, Tensor] = {}
    both = threading.Barrier(2, timeout=60)

    def all_reduce(values: Tensor) -> Tensor:
        given[threading.get_ident()] = values
        both.wait()
        return sum(given.values(), torch.zeros(()))

    monkeypatch.setattr(synced_norm, "all_reduce", all_reduce)
    monkeypatch.setattr("torch.distributed.is_initialized", lambda: True)
    monkeypatch.setattr("torch.distributed.get_world_size", lambda: 2)


@pytest.mark.parametrize("windows", [False, True])
def test_two_halves_equal_the_whole(two_ranks, windows: bool) -> None:
    """Of sequences (B, C, T), and of single frames of windows (B, C), without the convolutions."""
    batch = torch.randn(8, 3, 5, generator=torch.Generator().manual_seed(1)) * torch.arange(1, 9)[:, None, None]
    whole, ranks = layers(), [layers(), layers()]
    if windows:
        batch = batch[:, :, 0]
        whole, *ranks = (nn.Sequential(nn.BatchNorm1d(3), nn.ReLU()) for _ in range(3))
    for rank in ranks:
        synchronise(rank)
    with ThreadPoolExecutor(2) as pool:
        halves = list(pool.map(lambda rank, part: rank(part), ranks, batch.chunk(2)))
    outputs = whole(batch)
    torch.testing.assert_close(torch.cat(halves), outputs, rtol=1e-4, atol=1e-5)
    outputs.square().mean().backward()
    (sum(half.square().mean() for half in halves) / 2).backward()  # type: ignore[union-attr]
    for name, parameter in whole.named_parameters():
        gradient = sum(dict(rank.named_parameters())[name].grad for rank in ranks)
        torch.testing.assert_close(gradient, parameter.grad, rtol=1e-4, atol=1e-5, msg=name)
    for rank in ranks:
        for name, value in whole.state_dict().items():
            torch.testing.assert_close(rank.state_dict()[name], value, rtol=1e-5, atol=1e-6, msg=name)


def test_one_process_normalises_as_before() -> None:
    plain, synced, batch = layers(), layers(), torch.randn(4, 3, 5)
    synchronise(synced)
    assert torch.equal(plain(batch), synced(batch))
    assert list(plain.state_dict()) == list(synced.state_dict())
    assert torch.equal(plain.eval()(batch), synced.eval()(batch))


def test_other_layers_are_left_alone() -> None:
    others = nn.Sequential(nn.LayerNorm(4), nn.InstanceNorm1d(4))
    synchronise(others)
    assert [type(layer) for layer in others] == [nn.LayerNorm, nn.InstanceNorm1d]
