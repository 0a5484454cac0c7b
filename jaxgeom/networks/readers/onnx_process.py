"""[edge] A process of its own that runs an ONNX model in onnxruntime, which damaged models may bring down.

``python onnx_process.py FOLDER`` reads ``model.onnx``, ``target.txt`` and ``points.npz`` (for each input, its values at
all points), and writes ``outputs.npy`` (points, out).
"""

import sys
from pathlib import Path


def main(folder: Path) -> None:
    """Evaluate the model in a folder, point by point."""
    import numpy as np
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"])
    target = (folder / "target.txt").read_text()
    kinds = {each.name: np.float64 if "double" in each.type else np.float32 for each in session.get_inputs()}
    with np.load(folder / "points.npz") as points:
        parts = {name: points[name].astype(kinds[name]) for name in points.files}
    number = len(next(iter(parts.values())))
    found = [
        np.ravel(session.run([target], {name: values[i] for name, values in parts.items()})[0]) for i in range(number)
    ]
    np.save(folder / "outputs.npy", np.array(found, np.float64))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
