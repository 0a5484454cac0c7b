"""Polygons of a slice by SplineCam, in a Python of its own: printed as JSON, how many and the seconds of each round.

    python benchmarks/_splinecam.py network.npz X Y HALF_WIDTH

The file has W0, b0, W1, … of a network with two inputs, the slice is the square around (X, Y). SplineCam
(github.com/AhmedImtiazPrio/splinecam) is no package; it needs PyTorch, igraph and graph-tool, which Debian has for
NumPy 1. It is written for GPUs: here its tensors stay on the processor, and what it imports for pictures and
pretrained networks alone is left out.
"""

import json
import sys
import time
import types

import numpy as np
import torch

ROUNDS = 2


def imported() -> types.ModuleType:
    torch.jit.script = lambda function=None, *_, **__: function  # newer compilers refuse its annotations
    torch.Tensor.cuda = torch.nn.Module.cuda = lambda self, *_, **__: self
    vision = types.ModuleType("torchvision")
    vision.models = types.ModuleType("torchvision.models")
    sys.modules.setdefault("torchvision", vision)
    import graph_tool.draw

    if not hasattr(graph_tool.draw, "graph_draw"):
        graph_tool.draw.graph_draw = None
    import splinecam

    return splinecam


def polygons(splinecam: types.ModuleType, model: torch.nn.Module, corners: torch.Tensor) -> int:
    """As its example for perceptrons goes from layer to layer."""
    plane = torch.eye(2, 3, dtype=torch.float64)
    wrapped = splinecam.wrappers.model_wrapper(model, T=plane, dtype=torch.float64, device="cpu")
    maps, found = wrapped.layers[0].get_weights()[None], [corners]
    for index in range(1, len(wrapped.layers) - 1):
        found, origins = splinecam.graph.to_next_layer_partition(
            cycles=found, Abw=maps, NN=wrapped, current_layer=index, dtype=torch.float64, device="cpu"
        )
        layer, before = wrapped.layers[index], wrapped.layers[:index]
        with torch.no_grad():
            inside = splinecam.utils.get_region_means(found, dims=2, dtype=torch.float64, device="cpu")
            maps = splinecam.utils.get_Abw(
                q=layer.get_activation_pattern(before.forward(inside)),
                Wb=layer.get_weights(),
                incoming_Abw=maps[torch.tensor([int(each) for each in origins])],
            )
    return len(found)


def main() -> None:
    path, *numbers = sys.argv[1:]
    x, y, size = map(float, numbers)
    parts: list[torch.nn.Module] = []
    with np.load(path) as arrays:
        for index in range(len(arrays.files) // 2):
            kernel, bias = arrays[f"W{index}"], arrays[f"b{index}"]
            linear = torch.nn.Linear(*kernel.shape, dtype=torch.float64)
            linear.weight.data, linear.bias.data = torch.tensor(kernel.T), torch.tensor(bias)
            parts += [linear, torch.nn.ReLU()]
    model = torch.nn.Sequential(*parts[:-1]).eval()
    square = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1], [-1, -1]])
    corners = torch.tensor(np.array([x, y]) + size * square)
    splinecam, said = imported(), sys.stdout
    sys.stdout = sys.stderr  # it tells what it does
    seconds = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        count = polygons(splinecam, model, corners)
        seconds.append(time.perf_counter() - start)
    print(json.dumps({"count": count, "seconds": seconds}), file=said)


if __name__ == "__main__":
    main()
