"""Trainings that are watched: records as they are made, text, pictures, and what notebooks show."""

import io
import sys
import threading
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import jax
import numpy as np
import optax
import pytest
from PIL import Image

import jaxgeom as jg
from jaxgeom.plot import live

DATA = jg.datasets.circles(jax.random.key(0), num_points=40, noise=0.1, factor=0.4)
MODEL = jg.mlp((2, 4, 1), activation="tanh")


def fit(key: Any, **options: Any) -> jg.Fit:
    right, loss = jg.losses.side_is_right, jg.losses.binary_cross_entropy
    options = {"num_epochs": 7, "accuracy": right, "test": DATA} | options
    run = jg.fit(key, MODEL, optax.adam(0.05), loss, DATA, **options)
    jax.effects_barrier()
    return run


def test_what_is_shown_is_what_is_recorded_and_nothing_changes() -> None:
    seen: list[jg.Progress] = []
    key = jax.random.key(1)
    run = fit(key, watch=jg.Watch(seen.append, 3), batch_size=20)
    plain = fit(key, batch_size=20)
    for ours, theirs in zip(jax.tree.leaves(run[:9]), jax.tree.leaves(plain[:9]), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=2e-5, atol=1e-6)
    assert not bool(run.by_engine)
    assert [each.step for each in seen] == [0, 6, 12, 14]
    assert [each.is_last for each in seen] == [False, False, False, True]
    places = [0, 3, 6, 7]
    for name in ("train_loss", "train_accuracy", "test_loss", "test_accuracy"):
        np.testing.assert_array_equal([getattr(each, name) for each in seen], np.asarray(getattr(run, name))[places])
    for ours, theirs in zip(jax.tree.leaves(seen[-1].kept), jax.tree.leaves(run.params), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_populations_are_watched_one_by_one() -> None:
    seen: list[jg.Progress] = []
    watch = jg.Watch(seen.append, 7, lambda params: params["dense0_tanh"]["bias"][0])
    keys = jax.random.split(jax.random.key(2), 3)
    runs = jg.fit_population(keys, lambda key: fit(key, watch=watch, test=None, accuracy=None))
    jax.effects_barrier()
    assert sorted(each.step for each in seen) == [0, 0, 0, 7, 7, 7]
    last = sorted(float(each.kept) for each in seen if each.is_last)
    np.testing.assert_array_equal(last, np.sort(runs.params["dense0_tanh"]["bias"][:, 0]))
    assert seen[0].test_loss is seen[0].train_accuracy is None


def test_lines_of_text(capsys: pytest.CaptureFixture[str]) -> None:
    run = fit(jax.random.key(1), watch=jg.text_log(5))
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(",")[0] for line in lines] == ["step 0", "step 5", "step 7"]
    right, loss = 100 * float(run.test_accuracy[-1]), float(run.test_loss[-1])
    assert lines[-1].endswith(f"test loss {loss:.4g}, {right:.1f} % right")


def test_pictures_follow_the_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[bytes] = []

    class Handle:
        def update(self, bundle: dict[str, Any], raw: bool) -> None:
            assert raw
            shown.append(bundle["image/png"])

    monkeypatch.setattr(live, "_notebook_handle", Handle)
    path = tmp_path / "live.png"
    fit(jax.random.key(1), watch=jg.plot.live_view(MODEL, DATA, every=4, path=path))
    assert len(shown) == 3
    assert len(set(shown)) == 3
    assert path.read_bytes() == shown[-1]
    with Image.open(io.BytesIO(shown[-1])) as picture:
        assert picture.size == (672, 320)


def test_marimo_shows_pictures_in_the_cell_and_the_last_one_as_its_result(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []
    threads: list[threading.Thread] = []

    class Thread(threading.Thread):
        should_exit = False

        def start(self) -> None:
            threads.append(self)
            super().start()

    marimo: Any = ModuleType("marimo")
    marimo.running_in_notebook, marimo.Thread, marimo.current_thread = (lambda: True), Thread, threading.current_thread
    marimo.Html, marimo.output = str, SimpleNamespace(replace=shown.append)
    monkeypatch.setitem(sys.modules, "marimo", marimo)
    view: Any = jg.plot.live_view(MODEL, DATA, every=4)
    assert view._repr_html_() == "before the first step"
    for step in range(3):
        view.show(jg.Progress(step, 1.0 / (step + 1), None, None, None, np.zeros((96**2, 1)), step == 2))
    threads[0].join(timeout=10)  # it ends with the last picture
    assert not threads[0].is_alive()
    assert len(set(shown)) == 3
    assert view._mime_() == ("text/html", shown[-1])
    assert shown[-1].startswith("<img ")
    unused: Any = jg.plot.live_view(MODEL, DATA)
    assert unused.every == 10
    threads[1].should_exit = True  # type: ignore[attr-defined]
    threads[1].join(timeout=10)
    assert not threads[1].is_alive()


def test_pictures_of_graphs_and_classes() -> None:
    sine = jg.datasets.damped_sine()
    graph = jg.plot.live_view(jg.mlp((1, 3, 1)), sine)
    classes = jg.plot.live_view(jg.mlp((2, 3, 3)), jg.datasets.spirals(jax.random.key(0), num_per_class=9))
    x, y, line = np.asarray(sine.x), np.asarray(sine.y), jg.box(-10, 10, dim=1)
    records = [[jg.Progress(3, loss, None, None, None, None, True)] for loss in (1.0, 0.0)]
    assert len({live._drawn(x, y, line, np.zeros((400, 1)), some) for some in records}) == 2
    for watch, outputs in ((graph, np.zeros((400, 1))), (classes, np.eye(3)[np.arange(96**2) % 3])):
        watch.show(jg.Progress(0, 1.0, None, 0.5, None, outputs, False))


@pytest.mark.usefixtures("unchecked")
def test_what_cannot_be_watched_says_why() -> None:
    with pytest.raises(ValueError, match="record=None makes none"):
        fit(jax.random.key(0), watch=jg.text_log(), record=None)
    with pytest.raises(ValueError, match=r"ends in \.png, but 'live\.xyz' was given"):
        jg.plot.live_view(MODEL, DATA, path="live.xyz")
    with pytest.raises(ValueError, match="every"):
        jg.text_log(0)
    with pytest.raises(ValueError, match=r"one or two inputs, but the points have shape \(4, 3\)"):
        jg.plot.live_view(MODEL, (np.ones((4, 3)), np.ones(4)))
    with pytest.raises(ValueError, match="2 coordinates, but the domain has 3"):
        jg.plot.live_view(MODEL, DATA, domain=jg.box(dim=3))
