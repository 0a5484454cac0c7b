"""Data and functions of one's own in files of studies: the numbers of the same arrays, and one line for what is bad."""

import re
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import optax
import pytest

import jaxgeom as jg
from jaxgeom.__main__ import main
from jaxgeom.data.files import dataset_from_csv, dataset_from_npz, labels_of_csv
from jaxgeom.recipes.study.file import read, study_arguments

X = np.random.default_rng(0).normal(size=(12, 2)).round(3)
IS_RIGHT = X[:, 0] * X[:, 1] > 0
FAR = np.where(IS_RIGHT, -(2**63), 0)
TABLE = "u,v,side\n" + "\n".join(f"{a}, {b}, {'yes' if k else 'no'}" for (a, b), k in zip(X, IS_RIGHT, strict=True))
MODULE = """
    import jax, jax.numpy as jnp
    CONSTANT = 3

    def half(key, part: int = 2, *, spread=1.0):
        x = spread * jnp.asarray(POINTS)[::part]
        return x, (x[:, 0] * x[:, 1] > 0).astype(jnp.int32)

    def num_dead(params, train, shift=0.0):
        "units that no point activates"
        first = params["dense0_relu"]
        return jnp.sum((train.x @ first["kernel"] + first["bias"] <= 0).all(axis=0)) + shift

    def biases(layers):
        return layers[0].bias

    def rate(learning_rate, momentum):
        import optax
        return optax.sgd(learning_rate, momentum)

    def nameless(params, /): return 0.0
    def anything(**given): return 0.0
    def weather(params, rain): return 0.0
    def no_data(key): return jnp.zeros(3)
    def no_points(key): return jnp.zeros((0, 2)), jnp.zeros(0, int)
    def no_pairs(key): return jnp.zeros((3, 2)), jnp.zeros(2, int)
    def fails(params): return params["dense7"]
"""
STUDY = """
    key = 3
    [axes]
    width = [4]
    seed = {stop = 2}
    learning_rate = 0.1
    [data]
    csv = "points.csv"
    [optimizer]
    name = "sgd"
    [train]
    loss = "softmax_cross_entropy"
    num_epochs = 2
    at_steps = [0, 2]
    [measure.accuracy]
    what = "accuracy"
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a study, its points as CSV and npz, and a module."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    points = f"POINTS = {X.tolist()}\n"
    name = f"mine_{abs(hash(tmp_path)) % 10**9}"  # one module a folder, since all are imported by one process
    (tmp_path / f"{name}.py").write_text(points + textwrap.dedent(MODULE))
    (tmp_path / "points.csv").write_text(TABLE)
    np.savez(tmp_path / "points.npz", x=X, y=IS_RIGHT.astype(int), names=np.array(["a"]), bad=X * [1, np.inf], far=FAR)
    (tmp_path / "study.toml").write_text(textwrap.dedent(STUDY))
    return tmp_path


def changed(folder: Path, *changes: tuple[str, str]) -> Path:
    text = (folder / "study.toml").read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, textwrap.dedent(new).replace("mine:", f"{next(folder.glob('mine_*')).stem}:"))
    (folder / "changed.toml").write_text(text)
    return folder / "changed.toml"


def test_points_of_files_are_those_that_numpy_reads(folder: Path) -> None:
    labels = np.loadtxt(folder / "points.csv", str, delimiter=",", skiprows=1, usecols=2)
    expected = np.loadtxt(folder / "points.csv", delimiter=",", skiprows=1, usecols=(0, 1), dtype=np.float32)
    found = dataset_from_csv(folder / "points.csv", classes=True)
    np.testing.assert_array_equal(found.x, expected)
    np.testing.assert_array_equal(found.y, np.char.strip(labels) == "yes")
    assert labels_of_csv(folder / "points.csv") == ["no", "yes"]
    (folder / "test.csv").write_text("1.5;yes;-2\n# a remark\n\n2.5;yes;4\n")
    found = dataset_from_csv(
        folder / "test.csv", inputs=[2, 0], target=1, classes=True, labels=["no", "yes"], delimiter=";"
    )
    np.testing.assert_array_equal(found.x, [[-2, 1.5], [4, 2.5]])
    np.testing.assert_array_equal(found.y, [1, 1])
    found = dataset_from_csv(folder / "points.csv", inputs=["v"], target=["u", 0])
    np.testing.assert_array_equal(found.y, expected[:, [0, 0]])
    assert found.y.shape == (12, 2)
    found = dataset_from_npz(folder / "points.npz", classes=True)
    np.testing.assert_array_equal(found.x, X.astype(np.float32))
    assert (found.y.dtype, found.y.shape) == (np.int32, (12,))
    assert dataset_from_npz(folder / "points.npz").y.shape == (12, 1)


def test_a_file_is_the_study_of_the_same_arrays(folder: Path) -> None:
    path = changed(
        folder,
        (DATA, '[data.table]\ncsv = "points.csv"\n[data.drawn]\nfunction = "mine:half"\nspread = 2'),
        ('[optimizer]\nname = "sgd"', '[optimizer.own]\nfunction = "mine:rate"\nmomentum = 0.5'),
        ("learning_rate = 0.1", 'learning_rate = 0.1\nbatch_size = ["full"]'),
        ('[measure.accuracy]\nwhat = "accuracy"', '[measure.dead]\nfunction = "mine:num_dead"\nshift = 10\nunits = "u"')
    )  # fmt: skip
    path.write_text(path.read_text() + '[measure.b]\nfunction = "' + path.parent.glob("mine_*").__next__().stem)
    path.write_text(path.read_text() + ':biases"\nof_population = true\ndims = ["unit"]')
    arguments = study_arguments(read(path), folder)
    found = jg.run_study(**arguments, progress=False)
    assert found.dims["b"] == ("width", "seed", "batch_size", "data", "optimizer", "step", "unit")
    assert found.attrs["dead"] == {"units": "u", "meaning": "units that no point activates"}

    def dead(params: Any, train: Any) -> Any:
        first = params["dense0_relu"]
        return 10.0 + (train.x @ first["kernel"] + first["bias"] <= 0).all(axis=0).sum()

    table = jg.Dataset(X.astype(np.float32), IS_RIGHT.astype(np.int32))
    for name, data in (("table", table), ("drawn", jg.Dataset(2 * table.x[::2], table.y[::2]))):
        alone = jg.run_study(
            {"width": [4], "seed": [0, 1]},
            {"dead": dead, "b": lambda params: params["dense0_relu"]["bias"]},
            data=data,
            optimizer=optax.sgd(0.1, 0.5),
            loss=jg.losses.softmax_cross_entropy,
            num_epochs=2,
            at_steps=[0, 2],
            key=3,
            progress=False,
        )
        part = jg.study.select(found, data=name, batch_size="full", optimizer="own")
        np.testing.assert_array_equal(part["dead"], alone["dead"])
        np.testing.assert_allclose(part["b"], alone["b"], rtol=1e-6)


def test_all_parts_can_be_of_ones_own(folder: Path) -> None:
    path = changed(
        folder,
        (DATA, '[data.a]\ncsv = "points.csv"\nclasses = true\n[data.b]\nfunction = "mine:half"\n'
         '[test.b]\nnpz = "points.npz"\n[test.a]\ncsv = "other.csv"\n[model]\nfunction = "mine:network"\nscale = 2.0'),
        ('loss = "softmax_cross_entropy"', 'loss = "mine:loss"\nuntil = "mine:is_solved"\nmax_tries = 3'),
        (MEASURE, '[measure.accuracy]\nwhat = "accuracy"\nis_right = "mine:right"\nsplit = "test"\n'
         '[measure.given]\nfunction = "mine:GIVEN"'),
    )  # fmt: skip
    module = next(folder.glob("mine_*"))
    module.write_text(module.read_text() + textwrap.dedent(OTHERS))
    (folder / "other.csv").write_text("u,v,side\n-1,2,0\n1,1,0")
    found = jg.run_study(**study_arguments(read(path), folder), progress=False)
    assert found["data"].tolist() == ["a", "b"]
    assert (found["given"] == 7).all()
    assert (found["tries"] == [1, 3]).all()  # solved where the first split has 12 points
    assert (found["accuracy"][..., 0, :] == 1).all()  # at two points
    assert (found["accuracy"][..., 1, :] == 0).all()  # at twelve


DATA, OPTIMIZER = '[data]\ncsv = "points.csv"', '[optimizer]\nname = "sgd"'
MEASURE = '[measure.accuracy]\nwhat = "accuracy"'
OTHERS = """
    import jaxgeom as jg

    def network(features, scale):
        model = jg.mlp(features)
        return model._replace(init=lambda key: jax.tree.map(lambda leaf: scale * leaf, model.init(key)))

    def loss(outputs, targets):
        return jnp.mean((outputs - targets.reshape(len(targets), -1)) ** 2, axis=1)

    def is_solved(train):
        return len(train.x) == 12

    def right(outputs, targets):
        return jnp.full(len(outputs), len(outputs) == 2)

    GIVEN = jg.study.pure(lambda params: 7)
"""
BAD = [
    (DATA, '[data]\ncsv = "none.csv"', "cannot read"),
    (DATA, '[data]\ncsv = "."', "cannot read"),
    (DATA, '[data]\ncsv = "points.npz"', "no CSV file that can be read"),
    (DATA, '[data]\nnpz = "points.csv"', "no npz file of arrays"),
    (DATA, '[data]\nnpz = "points.npz"\ntarget = "labels"', "has the arrays x, y, names, bad, far, but"),
    (DATA, '[data]\nnpz = "points.npz"\ninputs = "names"', "must hold numbers"),
    (DATA, '[data]\nnpz = "points.npz"\ninputs = "bad"', "12 rows with NaN, infinity"),
    (DATA, '[data]\nnpz = "points.npz"\ntarget = "x"', "must hold classes, one integer of int32 a point"),
    (DATA, '[data]\nnpz = "points.npz"\ntarget = "far"', "must hold classes, one integer of int32 a point"),
    (DATA, '[data]\nname = "rings"\ncsv = "points.csv"', "but name and csv were given"),
    (DATA, '[data]\ncsv = "points.csv"\ntarget = "color"', "has the columns u, v, side, but 'color' was given"),
    (DATA, '[data]\ncsv = "points.csv"\ntarget = 3', "has the columns u, v, side, but 3 was given"),
    (DATA, '[data]\ncsv = "points.csv"\ninputs = "u"', "a list of columns"),
    (DATA, '[data]\ncsv = "points.csv"\ninputs = ["u", "side"]', "others for the target"),
    (DATA, '[data]\ncsv = "points.csv"\ndelimiter = ";"', "give the delimiter ','"),
    (DATA, '[data]\ncsv = "points.csv"\ninputs = ["side"]\ntarget = "u"\nclasses = false', "line 2: 'side' h"),
    (DATA, '[data]\ncsv = "points.csv"\ntarget = "side"\nclasses = false', "no numbers; for classes with names, say"),
    (DATA, '[data]\ncsv = "points.csv"\nclases = false', "unknown key 'clases'"),
    (DATA, '[data.a]\ncsv = "points.csv"\n[data.b]\nnoise = 1', "must be one of spirals"),
    (DATA, '[data]\nfunction = "mine"', '"module:function"'),
    (DATA, '[data]\nfunction = "nothing_of_that_name:points"', "there is no module 'nothing_of_that_name'"),
    (DATA, '[data]\nfunction = "mine:points"', "its functions are half, num_dead, biases"),
    (DATA, '[data]\nfunction = "mine:CONSTANT"', "'CONSTANT', which is a int and no function"),
    (DATA, '[data]\nfunction = "broken:points"', "cannot be imported: line 1 raised SyntaxError"),
    (DATA, '[data]\nfunction = "raises:points"', "raises.py, line 1, raised ZeroDivisionError: division by zero"),
    (DATA, '[data]\nfunction = "json:points"', "is hidden by another module 'json'"),
    (DATA, '[data]\nfunction = "mine:half"\npart = "two"', "needs an integer"),
    (DATA, '[data]\nfunction = "mine:half"\nkey = 1', "unknown key 'key'; allowed are part, spread"),
    (DATA, '[data]\nfunction = "mine:no_points"', "of one or more inputs x .* but shapes .0, 2. and .0,. were"),
    (DATA, '[data]\nfunction = "mine:no_data"', "must be a jaxgeom.Dataset of x and y, but an array"),
    (DATA, '[data]\nfunction = "mine:no_pairs"', r"but shapes \(3, 2\) and \(2,\) were given"),
    (OPTIMIZER, '[optimizer]\nfunction = "mine:rate"', "the optimizer takes momentum, which the study does not have"),
    (OPTIMIZER, '[optimizer.a]\nname = "sgd"\n[optimizer.b]\nmomentum = 0.9', "must be one of sgd, adam"),
    ("width = [4]", 'width = [4]\noptimizer = ["sgd", "adam"]', "optimizer is given twice"),
    ("width = [4]", "width = [4]\nbatch_size = [0]", "batch sizes are positive integers"),
    ("width = [4]", 'width = [4]\nbatch_size = ["all"]', 'takes integers and "full"'),
    ("width = [4]", 'width = [4]\nbatch_size = [3, 20]', "batches of 20 points were given, but the data have 12"),
    ("at_steps = [0, 2]", "at_steps = [0, 3]", "but 2 epochs of 12 points in batches of 12 are 2 steps"),
    ("width = [4]", "width = [4]\nmomentun = [0.9]", "no part of the study takes 'momentun'"),
    (MEASURE, '[measure.x]\nfunction = "mine:nameless"', "arguments by their names"),
    (MEASURE, '[measure.x]\nfunction = "mine:anything"', "arguments by their names"),
    (MEASURE, '[measure.x]\nfunction = "mine:weather"', "'x' takes rain, which the study does not have"),
    (MEASURE, '[measure.x]\nfunction = "mine:fails"', r"fails in mine_\d+\.py, line \d+, raised KeyError"),
    (MEASURE, '[measure.x]\nfunction = "mine:biases"\nof_population = 1', "needs true or false"),
    ('"softmax_cross_entropy"', '"mine:CONSTANT"', "is a int and no function"),
]  # fmt: skip


@pytest.mark.usefixtures("unchecked")
def test_what_is_bad_ends_in_one_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "broken.py").write_text("def points(:")
    (folder / "raises.py").write_text("1 / 0")
    (folder / "json.py").write_text("def points(key): pass")
    for old, new, message in BAD:
        path = changed(folder, (old, new))
        assert main(["study", str(path), "--out", str(folder / "out"), "--quiet"]) == 2, new
        printed = capsys.readouterr()
        assert printed.err.startswith("error: "), printed.err
        assert printed.err.count("\n") == 1, printed.err
        assert re.search(message, printed.err), (new, printed.err)
        assert not list((folder / "out").glob("*.npz"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no points: it is empty"),
        ("u,v,side", "has names of columns, but no points"),
        ("u,u,side\n1,2,3", "a name of columns twice"),
        (",u,side\n0,1.5,2\n1,2.5,3", "a column without a name, such as the index that pandas writes"),
        ("0,1,2\n1.5,2,3", "line 1: 0, 1, 2 are numbers of columns and no point"),
        ("0,1,2\n1,2", "line 2: it has 2 cells instead of 3"),
        ("1,2,3\n1,2\n4,5,6\n7,8,9,0", r"line 2: it has 2 cells instead of 3 \(2 lines are bad, also 4\)"),
        ("u,v,side\n1,2,3\n1,,3\n,2,3", r"line 3: 'v' holds '', which is no finite number of float32 \(2 lines .* 4\)"),
        ("1,2,3\n1,nan,3", "line 2: '1' holds 'nan'"),
        ("1,2,3\n1,1e39,3", "line 2: '1' holds '1e39'"),
        ("1,2,3\n1,1_0,3", "line 2: '1' holds '1_0'"),
        ('1,2,3\n1,"2,3', "no CSV file that can be read"),
    ],
)
def test_bad_lines_of_tables_are_named(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "points.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        dataset_from_csv(tmp_path / "points.csv")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0,1,kind\n1.5,2,cat\n2,3.5,dog", "line 1: 0, 1, kind are numbers of columns and no point"),
        ("1,2,0\n3,4,1\n5,6,one", "line 3: '2' holds 'one' among integers"),
        ("1,2,0\n3,4,1.5", r"line 2: '2' holds '1\.5' among integers"),
        ("1,2,a\n3,4,", "line 2: '2' is empty"),
        (f"1,2,0\n3,4,{2**40}", "line 2: the class is beyond int32"),
    ],
)
def test_bad_classes_are_named(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "points.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        dataset_from_csv(tmp_path / "points.csv", classes=True)
    (tmp_path / "points.csv").write_text("0,1,2\n1,0,1\n2,2,0")  # points on a grid
    assert dataset_from_csv(tmp_path / "points.csv", classes=True).y.tolist() == [2, 1, 0]
    (tmp_path / "points.csv").write_text("1,2,a\n3,4,b")
    with pytest.raises(ValueError, match="line 2: '2' holds a class that is none of a, c"):
        dataset_from_csv(tmp_path / "points.csv", classes=True, labels=["a", "c"])
