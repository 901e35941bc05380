"""The front of public names: each is the library's own, and another module of a package's name is refused."""

from __future__ import annotations

import types

import pytest

import temporal_smoothing


def test_every_name_is_the_library_s_own() -> None:
    from pose.metrics.mupots import score_scenes
    from refinement import refine

    assert all(callable(getattr(temporal_smoothing, name)) for name in temporal_smoothing.__all__)
    assert temporal_smoothing.refine is refine and temporal_smoothing.score is score_scenes
    assert dir(temporal_smoothing) == sorted(temporal_smoothing.__all__)
    with pytest.raises(AttributeError, match=r"no attribute 'refin'; it has Camera, .*refine"):
        temporal_smoothing.refin  # noqa: B018


@pytest.mark.parametrize(("package", "name"), [("data", "read_predictions"), ("pose", "Camera"), ("fileio", "predict")])
def test_another_module_of_a_package_s_name_is_refused(monkeypatch, package: str, name: str) -> None:
    other = types.ModuleType(package)
    other.__file__ = f"/home/user/{package}.py"
    monkeypatch.delitem(vars(temporal_smoothing), name, raising=False)
    monkeypatch.setitem(__import__("sys").modules, package, other)
    with pytest.raises(ImportError, match=rf"^[^\n]*`{package}`[^\n]*/home/user/{package}\.py first: rename [^\n]*$"):
        getattr(temporal_smoothing, name)
