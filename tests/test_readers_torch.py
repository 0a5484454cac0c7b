"""PyTorch modules read into layers: outputs and gradients against PyTorch, refusals, hostile files."""

import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from read_truth import dense, gradients, outputs

import jaxgeom as jg
from jaxgeom.networks.layers import check_layers

torch = pytest.importorskip("torch")
torch.set_num_threads(1)  # as fast for small networks, and no waiting for cores that others use
nn, F = torch.nn, torch.nn.functional
pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning")


class LeNet(nn.Module):
    """LeNet-5 for smaller pictures."""

    def __init__(self, pool: Callable[..., Any] = F.max_pool2d) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 6, 3)
        self.fc1, self.fc2, self.fc3 = nn.Linear(6, 20), nn.Linear(20, 12), nn.Linear(12, 10)
        self.pool = pool

    def forward(self, x: Any) -> Any:
        x = self.pool(F.relu(self.conv1(x)), 2)
        x = self.pool(F.relu(self.conv2(x)), 2).flatten(1)
        return self.fc3(F.relu(self.fc2(F.relu(self.fc1(x)))))


class Residual(nn.Module):
    """Convolution, two residual blocks, the second with half the places, and means of channels."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm = nn.Conv2d(2, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4)
        self.a, self.b = nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.c, self.d = nn.Conv2d(4, 6, 3, 2, 1), nn.Conv2d(6, 6, 3, padding=1)
        self.short, self.norm2 = nn.Conv2d(4, 6, 1, 2), nn.BatchNorm2d(6)
        self.out = nn.Linear(6, 3)

    def forward(self, x: Any) -> Any:
        x = F.relu(self.norm(self.first(x)))
        x = F.relu(self.b(F.relu(self.a(x))) + x)
        x = F.relu(self.norm2(self.d(F.relu(self.c(x)))) + self.short(x))
        return self.out(F.adaptive_avg_pool2d(x, 1).flatten(1))


class Mixed(nn.Module):
    """Concatenation, slices, arithmetic, maxout, minima, clipping."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Linear(6, 8), nn.Linear(14, 12), nn.Linear(4, 3)

    def forward(self, x: Any) -> Any:
        y = torch.cat([F.leaky_relu(self.a(x), 0.2), 2 * x - 1], dim=1)
        y = self.b(y).view(-1, 3, 4)
        z = torch.maximum(y.amax(dim=1), y[:, 0, :] / 3) - torch.minimum(y[:, 1], y[:, 2])
        return self.c(torch.clamp(z, -0.5, 0.7)) + torch.where(x[:, :3] > 0, x[:, :3], -0.5 * x[:, :3])


class Ordered(nn.Module):
    """Numbers put in order, as in GroupSort, the largest of them, running sums and maxima."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(4, 12), nn.Linear(12, 2)

    def forward(self, x: Any) -> Any:
        y = torch.sort(self.a(x).view(-1, 4, 3), dim=1, descending=True).values.flatten(1)
        z = torch.topk(torch.relu(y), 2, largest=False).values + torch.cummax(x, 1).values[:, 1:3]
        return self.b(y) + z - torch.cumsum(x, -1)[:, 1:3]


def sequence(*parts: Any) -> Any:
    return nn.Sequential(*parts)


NETWORKS: dict[str, tuple[Callable[[], Any], tuple[int, ...]]] = {
    "mlp": (
        lambda: sequence(nn.Linear(3, 9), nn.ReLU(), nn.Linear(9, 9, bias=False), nn.ReLU(), nn.Linear(9, 2)),
        (3,),
    ),
    "lenet_max": (LeNet, (1, 8, 8)),
    "lenet_mean": (lambda: LeNet(F.avg_pool2d), (1, 8, 8)),
    "residual": (Residual, (2, 8, 8)),
    "mixed": (Mixed, (6,)),
    "ordered": (Ordered, (4,)),
    "grouped": (
        lambda: sequence(
            nn.Conv2d(4, 8, 3, padding=2, dilation=2, groups=2),
            nn.PReLU(8),
            nn.Conv2d(8, 4, (1, 3), (2, 1)),
            nn.ReLU6(),
            nn.Flatten(),
            nn.Linear(4 * 3 * 4, 2),
        ),
        (4, 6, 6),
    ),
    "depthwise": (
        lambda: sequence(nn.Conv1d(3, 6, 3, groups=3, stride=2), nn.LeakyReLU(0.3), nn.Conv1d(6, 2, 2)),
        (3, 9),
    ),
    "volume": (
        lambda: sequence(nn.Conv3d(1, 2, 2), nn.ReLU(), nn.MaxPool3d(2), nn.Flatten(), nn.Linear(2, 2)),
        (1, 4, 4, 4),
    ),
    "transposed": (
        lambda: sequence(
            nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1, output_padding=1, groups=2),
            nn.Hardtanh(),
            nn.ConvTranspose2d(6, 1, 2, dilation=2),
        ),
        (4, 3, 3),
    ),
    "padded": (
        lambda: sequence(
            nn.ReflectionPad2d((1, 2, 0, 1)),
            nn.Conv2d(1, 2, 3),
            nn.ReLU(),
            nn.Conv2d(2, 2, 3, padding=1, padding_mode="circular"),
            nn.ReplicationPad2d(1),
            nn.AvgPool2d(3, 2),
        ),
        (1, 5, 5),
    ),
    "pools": (
        lambda: sequence(
            nn.MaxPool2d(3, 2, padding=1),
            nn.AvgPool2d(2, 1, padding=1, count_include_pad=False),
            nn.MaxPool2d(2, 2, ceil_mode=True),
            nn.AvgPool2d(2, 2, ceil_mode=True, padding=1),
            nn.AdaptiveMaxPool2d((1, 2)),
            nn.BatchNorm2d(2),
        ),
        (2, 11, 9),
    ),
    "abs": (lambda: Function(lambda x: torch.abs(x).sum(dim=1, keepdim=True) - x.mean(dim=1, keepdim=True)), (4,)),
    "shapes": (
        lambda: Function(
            lambda x: F.relu(x.permute(0, 2, 1).flip(1).unsqueeze(1).repeat(1, 2, 1, 1).roll(1, 2)).sum((1, 3))
        ),
        (3, 4),
    ),
    "pictures": (
        lambda: sequence(
            nn.Conv2d(1, 4, 2),
            nn.Threshold(-0.5, -0.5),
            nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True),
            nn.ChannelShuffle(2),
            nn.PixelUnshuffle(2),
            nn.PixelShuffle(4),
            nn.Upsample((3, 4), mode="bicubic"),
            nn.Unfold(2, padding=1, stride=2),
            nn.Upsample(5, mode="linear"),
        ),
        (1, 5, 5),
    ),
    "hardsigmoid": (lambda: sequence(nn.Linear(2, 9), nn.Hardsigmoid(), nn.Linear(9, 1)), (2,)),
    "no_kinks": (lambda: sequence(nn.Linear(3, 4), nn.Dropout(0.5), nn.Linear(4, 2)), (3,)),
}


class Function(nn.Module):
    def __init__(self, function: Callable[[Any], Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Any) -> Any:
        return self.function(x)


def built(name: str) -> tuple[Any, tuple[int, ...]]:
    """A network with statistics of normalisation that are not those of the start."""
    torch.manual_seed(0)
    build, shape = NETWORKS[name]
    module = build()
    with torch.no_grad():
        module.train()
        for _ in range(3):
            module(torch.randn(64, *shape) * 2 + 0.3)
    return module.eval(), shape


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_outputs_and_gradients_are_pytorchs(name: str) -> None:
    module, shape = built(name)
    read = jg.from_torch(module, torch.zeros(1, *shape))
    assert read.input_shape == shape
    points = np.random.default_rng(1).normal(size=(10_000, *shape))
    x = torch.from_numpy(points[:1000]).float()
    with torch.no_grad():
        expected = module(x).reshape(1000, -1).numpy()
    got = outputs(read.layers, x.numpy())
    assert got.shape == expected.shape
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())
    network = module.double()
    tensor = torch.from_numpy(points).requires_grad_()
    output = got.shape[1] - 1
    network(tensor).flatten(1)[:, output].sum().backward()
    rtol = 1e-7 if name == "hardsigmoid" else 1e-9  # whose derivative PyTorch rounds, 1/6 in float32
    np.testing.assert_allclose(
        gradients(read.layers, points, output), tensor.grad.flatten(1).numpy(), rtol=rtol, atol=1e-12
    )


def test_large_layers_are_sparse_and_their_units_have_names() -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(256, 2))
    read = jg.from_torch(module, np.zeros((1, 1, 16, 16)))
    # the maxima of the convolution, in pairs, and then the ReLU
    assert [units.is_carried.mean() for units in read.units] == [0.5, 0.5, 0]
    assert jg.unit_name(read.units[2], 4 * (8 * 5 + 7) + 3) == "1[0, 3, 5, 7]"
    assert {jg.unit_name(read.units[0], unit)[:2] for unit in range(8)} == {"2["}

    read = jg.from_torch(nn.Sequential(*(module[i] for i in (0, 1, 3)), nn.Linear(1024, 2)), np.zeros((1, 1, 16, 16)))
    first = read.layers[0].kernel
    assert first.shape == (256, 1024)
    assert first.nnz == 4 * (16 * 3 - 2) ** 2
    unit = 4 * (16 * 5 + 7) + 3  # channels of a place are together: place (5, 7), channel 3
    assert jg.unit_name(read.units[0], unit) == "1[0, 3, 5, 7]"
    z = dense(first).reshape(16, 16, -1)[:, :, unit]
    np.testing.assert_array_equal(z[4:7, 6:9], module[0].weight[3, 0].detach().numpy())
    assert np.count_nonzero(z) == 9


def test_skip_connections_carry_what_is_needed_and_no_more() -> None:
    module, shape = built("residual")
    read = jg.from_torch(module, torch.zeros(1, *shape))
    widths = [layer.bias.size for layer in read.layers]
    plane = 8 * 8 * 4
    # of the second block's input, a 1×1 convolution with stride 2 takes a quarter
    assert widths == [plane, 2 * plane, plane, 4 * 4 * 6 + plane // 4, 4 * 4 * 6, 3]
    assert [units.is_carried.sum() for units in read.units] == [0, plane, 0, plane // 4, 0]


def test_modules_stay_as_they_are() -> None:
    module = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.ReLU(), nn.Linear(3, 1)).train()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    jg.from_torch(module)
    assert module.training
    assert all(torch.equal(before[name], tensor) for name, tensor in module.state_dict().items())
    assert module[0].weight.dtype == torch.float32


@pytest.mark.parametrize(
    ("part", "operation"),
    [
        (nn.Tanh(), "tanh"),
        (nn.GELU(), "gelu"),
        (nn.Softmax(1), "softmax"),
        (nn.LayerNorm(3), "layer_norm"),
        (nn.SiLU(), "silu"),
        (nn.Hardshrink(), "where"),
        (Function(lambda x: x * x), "mul"),
        (Function(lambda x: torch.where(x > 0, x + 1, x)), "where"),
        # a small jump, far from where outputs are compared, beside a large multiple
        (Function(lambda x: torch.where(x > x.new_tensor([0, 1e5, 0]), x * x.new_tensor([1e10, 1e-5, 1]), 0)), "where"),
    ],
)
def test_what_is_not_piecewise_linear_is_refused_by_name(part: Any, operation: str) -> None:
    module = nn.Sequential(nn.Linear(2, 3), part, nn.Linear(3, 1))
    with pytest.raises(ValueError, match=rf"operation \w*{operation}\w*.*grid_regions"):
        jg.from_torch(module)


@pytest.mark.parametrize("ending", [nn.Softmax(1), nn.LogSoftmax(dim=-1), nn.Sigmoid()])
def test_a_softmax_at_the_end_is_left_off(ending: Any) -> None:
    torch.manual_seed(0)
    body = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 3))
    read = jg.from_torch(nn.Sequential(body, ending, nn.Unflatten(1, (3, 1)), nn.Flatten()))
    points = np.random.default_rng(0).normal(size=(20, 2))
    with torch.no_grad():
        expected = body.double()(torch.from_numpy(points)).numpy()
    np.testing.assert_allclose(outputs(read.layers, points), expected, rtol=1e-6, atol=1e-6)
    assert [note.split(":")[0] for note in read.notes] == [
        f"{ending._get_name().replace('Log', 'Log_').lower()} at the end is left off"
    ]
    with pytest.raises(ValueError, match="in a batch than for one point"):
        jg.from_torch(nn.Sequential(body.float(), Function(lambda x: x * len(x)), ending))
    if not isinstance(ending, nn.Sigmoid):
        with pytest.raises(ValueError, match=r"softmax.*over a single number, it is constant"):
            jg.from_torch(nn.Sequential(nn.Linear(2, 1), ending))


@pytest.mark.parametrize(("shape", "reason"), [((1, 4), r"does not take inputs of shape \(1, 4\)"), ((1, 3), "follow")])
def test_what_cannot_be_followed_is_one_line_and_nothing_else(
    shape: Any, reason: str, capfd: pytest.CaptureFixture[str]
) -> None:
    module = nn.Sequential(nn.Linear(3, 2), Function(lambda x: x if x.sum() > 0 else -x))
    with pytest.raises(ValueError, match=reason) as caught:
        jg.from_torch(module, torch.zeros(shape))
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_shapes_that_are_not_known_are_asked_for() -> None:
    with pytest.raises(ValueError, match=r"begins with Conv2d is not known\. Give a batch"):
        jg.from_torch(nn.Sequential(nn.Conv2d(1, 2, 3)))
    with pytest.raises(TypeError, match=r"but list was given"):
        jg.from_torch([1, 2])


def test_the_layers_are_compared_with_the_module() -> None:
    """A module that computes something else in batches than for one point is found out."""
    module = nn.Sequential(nn.Linear(2, 3), Function(lambda x: torch.relu(x) * len(x)))
    with pytest.raises(ValueError, match=r"not what the module computes: at a random point"):
        jg.from_torch(module)


def test_state_dicts(tmp_path: Path) -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(2, 5), nn.LeakyReLU(0.1), nn.Linear(5, 3, bias=False))
    torch.save(module.state_dict(), tmp_path / "net.pt")
    points = np.random.default_rng(0).normal(size=(100, 2))
    with torch.no_grad():
        expected = module.double()(torch.from_numpy(points)).numpy()
    for source in (module.state_dict(), tmp_path / "net.pt", str(tmp_path / "net.pt")):
        read = jg.from_torch(source, order=("0", "2"), activation=0.1)
        np.testing.assert_allclose(outputs(read.layers, points), expected, atol=1e-6)
    with pytest.raises(ValueError, match=r"order of the layers cannot be told from their names, \['0', '2'\]"):
        jg.from_torch(module.state_dict())
    with pytest.raises(ValueError, match=r"order must name each of the layers \['0', '2'\] once"):
        jg.from_torch(module.state_dict(), order=("0",))
    with pytest.raises(ValueError, match=r"takes 3 inputs, but what comes before it has 2"):
        jg.from_torch({"a.weight": torch.ones(2, 2), "b.weight": torch.ones(1, 3)}, order=("a", "b"))
    with pytest.raises(ValueError, match=r"holds \['running_mean', 'weight'\]"):
        jg.from_torch({"a.weight": torch.ones(2, 2), "a.running_mean": torch.ones(2)}, order=("a",))
    with pytest.raises(ValueError, match=r"NaN or infinite"):
        jg.from_torch({"a.weight": torch.full((2, 2), torch.nan)}, order=("a",))


def test_modules_in_place_of_layers_are_answered_with_their_reader() -> None:
    module = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    for refused in (lambda: check_layers(module), lambda: jg.layers_of(module)):
        with pytest.raises((TypeError, ValueError), match=r"jaxgeom\.from_torch\(module, example\)\.layers"):
            refused()
    read = jg.from_torch(module, torch.zeros(1, 2))
    with pytest.raises(TypeError, match=r"An? Imported has them: give its \.layers"):
        check_layers(read)
    assert len(check_layers(read.layers)) == 2


class Trap:
    def __reduce__(self) -> Any:
        return (Path.touch, (Path("trapped"),))


def test_hostile_files_end_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    whole = tmp_path / "whole.pt"
    torch.save(nn.Linear(200, 300).state_dict(), whole)
    (tmp_path / "cut.pt").write_bytes(whole.read_bytes()[:5000])
    (tmp_path / "empty.pt").write_bytes(b"")
    (tmp_path / "noise.pt").write_bytes(np.random.default_rng(0).bytes(4000))
    (tmp_path / "pickle.pt").write_bytes(pickle.dumps(Trap()))
    torch.save({"a.weight": Trap()}, tmp_path / "trap.pt")
    torch.save(nn.Linear(2, 2), tmp_path / "module.pt")
    torch.save([1, 2], tmp_path / "list.pt")
    torch.save({"a.weight": "text"}, tmp_path / "text.pt")
    torch.save({"a.weight": torch.zeros(1, 1).expand(10**6, 10**6)}, tmp_path / "huge.pt")
    with zipfile.ZipFile(tmp_path / "bomb.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"0" * 10**7)
    names = ["cut", "empty", "noise", "pickle", "trap", "module", "list", "text", "huge", "bomb", "missing"]
    for name in names:
        with pytest.raises(ValueError, match=r".") as caught:
            jg.from_torch(tmp_path / f"{name}.pt", order=("a",))
        assert not set("\n\x1b") & set(str(caught.value)), name
    with pytest.raises(ValueError, match=r"holds a torch\.nn\.modules\.linear\.Linear, .* save module\.state_dict\(\)"):
        jg.from_torch(tmp_path / "module.pt")
    assert not (tmp_path / "trapped").exists()


def convolutional(size: int, pool: Any, *, pools_first: bool = False) -> Any:
    torch.manual_seed(1)
    first, second = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 6, 3)
    middle = (pool, nn.ReLU()) if pools_first else (nn.ReLU(), pool)
    return nn.Sequential(first, *middle, second, nn.ReLU(), nn.Flatten(), nn.Linear(6 * (size // 2 - 2) ** 2, 2))


def through_three_images(size: int) -> tuple[jg.Plane, jg.Polygon]:
    images = np.random.default_rng(0).uniform(size=(3, size**2))
    plane = jg.plane_through(*images)
    return plane, jg.polygon(jg.project(plane, images).coordinates)


@pytest.mark.parametrize(("pool", "size"), [(nn.MaxPool2d(2), 10), (nn.AvgPool2d(2), 14)], ids=["max", "average"])
def test_regions_of_convolutions_are_those_of_dense_layers(pool: Any, size: int) -> None:
    """On a plane through three images; before or after the activation, a maximum is the same function."""
    read = jg.from_torch(convolutional(size, pool), torch.zeros(1, 1, size, size))
    assert any(not isinstance(layer.kernel, np.ndarray) for layer in read.layers[1:])
    full = tuple(jg.Dense(dense(layer.kernel), layer.bias, layer.slope) for layer in read.layers)
    plane, triangle = through_three_images(size)
    found = jg.enumerate_regions(jg.on_plane(read.layers, plane), triangle)
    wanted = jg.enumerate_regions(jg.on_plane(full, plane), triangle)
    assert found.num_faces == wanted.num_faces > 500
    np.testing.assert_allclose(np.sort(found.area), np.sort(wanted.area), rtol=1e-6)
    if isinstance(pool, nn.MaxPool2d):
        other = jg.from_torch(convolutional(size, pool, pools_first=True), torch.zeros(1, 1, size, size))
        assert jg.count_regions(jg.on_plane(other.layers, plane), triangle).count == found.num_faces


@pytest.mark.parametrize("pool", [nn.MaxPool2d(2), nn.AvgPool2d(2)], ids=["max", "average"])
def test_gradients_of_regions_are_pytorchs_at_points_inside(pool: Any) -> None:
    """At 10,000 points on a plane through three pictures of 12×12 places, in all regions."""
    module = convolutional(12, pool)
    read = jg.from_torch(module, torch.zeros(1, 1, 12, 12))
    plane, triangle = through_three_images(12)
    found = jg.enumerate_regions(jg.on_plane(read.layers, plane), triangle)
    face = np.resize(np.flatnonzero(found.area > 1e-12 * found.area.sum()), 10_000)
    corners = found.vertices[found.face_vertices[found.face_offsets[face]]]
    share = np.random.default_rng(0).uniform(0, 0.9, (10_000, 1))
    points = found.centroid[face] + share * (corners - found.centroid[face])
    inside = torch.from_numpy(jg.lift(plane, points)).requires_grad_()
    module.double()(inside.reshape(-1, 1, 12, 12))[:, 0].sum().backward()
    np.testing.assert_allclose(found.gradient[face, 0], inside.grad.numpy() @ plane.directions.T, atol=1e-9)
    assert found.num_faces > 500
