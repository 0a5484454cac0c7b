"""Perceptrons of scikit-learn read into layers: outputs against scikit-learn, gradients by differences, refusals."""

from typing import Any

import numpy as np
import pytest
from read_truth import gradients, outputs

import jaxgeom as jg

sklearn = pytest.importorskip("sklearn")
decomposition = pytest.importorskip("sklearn.decomposition")
perceptrons = pytest.importorskip("sklearn.neural_network")
scalers = pytest.importorskip("sklearn.preprocessing")
pytestmark = pytest.mark.filterwarnings("ignore:.*onverge.*", "ignore:lbfgs")
make_pipeline = pytest.importorskip("sklearn.pipeline").make_pipeline


def data(num_outputs: int = 1) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    x = random.normal(size=(200, 4)) * [1, 5, 0.1, 2] + [0, 3, 1, -2]
    y = np.sin(x @ random.normal(size=(4, num_outputs)))
    return x, y.squeeze()


def regressor(num_outputs: int = 1, **options: Any) -> Any:
    options = {"hidden_layer_sizes": (9, 7), "max_iter": 30, "random_state": 0, **options}
    return perceptrons.MLPRegressor(**options), *data(num_outputs)


def classifier(num_classes: int, **options: Any) -> Any:
    x, y = data()
    options = {"hidden_layer_sizes": (9,), "max_iter": 30, "random_state": 0, **options}
    return perceptrons.MLPClassifier(**options), x, np.digitize(y, np.linspace(-0.5, 0.5, num_classes - 1))


def after(*steps: Any) -> Any:
    model, x, y = regressor()
    return make_pipeline(*steps, model), x, y


REGRESSORS = {
    "one output": lambda: regressor(),
    "three outputs": lambda: regressor(3, activation="identity"),
    "no hidden layer": lambda: regressor(hidden_layer_sizes=()),
    "standard": lambda: after(scalers.StandardScaler()),
    "standard, half": lambda: after(scalers.StandardScaler(with_mean=False), scalers.StandardScaler(with_std=False)),
    "bounds": lambda: after(scalers.MinMaxScaler((-1, 2)), "passthrough"),
    "robust": lambda: after(scalers.RobustScaler(), scalers.MaxAbsScaler()),
    "axes": lambda: after(scalers.StandardScaler(), decomposition.PCA(3, whiten=True)),
}


@pytest.mark.parametrize("name", REGRESSORS)
def test_outputs_and_gradients_are_those_of_regressors(name: str) -> None:
    model, x, y = REGRESSORS[name]()
    model.fit(x, y)
    read = jg.from_sklearn(model)
    assert read.input_shape == (4,)
    points = x[np.random.default_rng(1).integers(0, len(x), 10_000)] + np.random.default_rng(2).normal(size=(10_000, 4))
    expected = model.predict(points).reshape(len(points), -1)
    np.testing.assert_allclose(outputs(read.layers, points), expected, rtol=1e-9, atol=1e-9)
    # scikit-learn does not differentiate: differences, exact where no kink is near
    found = gradients(read.layers, points, 0)
    steps = 1e-5 * np.eye(4)[:, None]
    change = (model.predict((points + steps).reshape(-1, 4)) - model.predict((points - steps).reshape(-1, 4))) / 2e-5
    is_off = np.abs(change.reshape(4, len(points), -1)[:, :, 0].T - found).max(axis=1) > 1e-5 * np.abs(found).max()
    assert is_off.mean() < 0.01


@pytest.mark.parametrize("num_classes", [2, 3])
def test_outputs_are_those_before_the_softmax(num_classes: int) -> None:
    model, x, y = classifier(num_classes)
    model.fit(x, y)
    read = jg.from_sklearn(model)
    found = outputs(read.layers, x)
    if num_classes == 2:
        assert read.output_shape == (1,)
        np.testing.assert_allclose(1 / (1 + np.exp(-found[:, 0])), model.predict_proba(x)[:, 1], rtol=1e-9)
        np.testing.assert_array_equal(found[:, 0] > 0, model.predict(x) == 1)
    else:
        size = np.exp(found - found.max(axis=1, keepdims=True))
        np.testing.assert_allclose(size / size.sum(1, keepdims=True), model.predict_proba(x), rtol=1e-9)
    assert "left off" in read.notes[0]


def test_several_labels_and_float32() -> None:
    model, x, _ = classifier(2)
    labels = np.random.default_rng(0).integers(0, 2, (len(x), 3))
    model.fit(x.astype(np.float32), labels)
    read = jg.from_sklearn(model)
    np.testing.assert_allclose(1 / (1 + np.exp(-outputs(read.layers, x))), model.predict_proba(x), rtol=1e-4, atol=1e-6)


def test_refusals_name_what_they_refuse() -> None:
    for model, message in [
        (regressor(activation="tanh"), r'MLPRegressor has activation="tanh".*grid_regions'),
        (after(scalers.Normalizer()), r"step Normalizer, which is not affine.*MinMaxScaler.*StandardScaler"),
        (after(scalers.PolynomialFeatures()), r"step PolynomialFeatures"),
        (after(scalers.MinMaxScaler(clip=True)), r"MinMaxScaler clips its outputs"),
    ]:
        with pytest.raises(ValueError, match=message) as caught:
            jg.from_sklearn(model[0].fit(*model[1:]))
        assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match=r"MLPRegressor is not fitted"):
        jg.from_sklearn(regressor()[0])
    with pytest.raises(TypeError, match=r"needed, or a pipeline that ends in one, but StandardScaler was given"):
        jg.from_sklearn(scalers.StandardScaler())


def test_models_stay_as_they_are() -> None:
    model, x, y = classifier(3)
    model.fit(x, y)
    expected = model.predict_proba(x)
    jg.from_sklearn(model)
    np.testing.assert_array_equal(model.predict_proba(x), expected)
