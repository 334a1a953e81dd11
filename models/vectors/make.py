"""Makes the stored outputs from the models as published, before any folding of ours.

    python3 -m venv venv && venv/bin/pip install onnx==1.19.1 onnxruntime==1.31.1 ai-edge-litert==2.3.0 numpy
    venv/bin/python make.py FOLDER

FOLDER holds the published files under the names of manifest.toml. The int8 SFace runs in ONNX
Runtime. The int8 YuNet does not load there, so the reference evaluator of the package `onnx`
computes it, which shares no code with ONNX Runtime or with Sudare. The face mesh runs in Google's
own interpreter.
"""

import json
import pathlib
import sys
import tomllib
from importlib.metadata import version

import numpy
import onnx
import onnxruntime
from onnx.reference import ReferenceEvaluator

HERE = pathlib.Path(__file__).parent
SAMPLES = 8


def run(path, feed, by_reference):
    """Returns the outputs by name; `by_reference` avoids ONNX Runtime."""
    if by_reference:
        model = onnx.load(path)
        for node in model.graph.node:
            if node.op_type == "Resize":
                node.input[1] = ""  # An empty region of interest, over which the evaluator stumbles.
        session = ReferenceEvaluator(model)
        return dict(zip(session.output_names, session.run(None, feed)))
    onnxruntime.set_default_logger_severity(3)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    # The published SFace declares its constants as inputs; those without a value are unused.
    stray = {i.name: numpy.zeros(i.shape, numpy.float32) for i in session.get_inputs() if i.name not in feed}
    return dict(zip([o.name for o in session.get_outputs()], session.run(None, feed | stray)))


def run_tflite(path, picture):
    """Returns the outputs by name; colours come last there."""
    from ai_edge_litert.interpreter import Interpreter
    interpreter = Interpreter(model_path=path, num_threads=1)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], picture.transpose(0, 2, 3, 1).copy())
    interpreter.invoke()
    return {o["name"]: interpreter.get_tensor(o["index"]) for o in interpreter.get_output_details()}


def samples(values, tolerance):
    """Numbers spread over the whole output."""
    flat = values.reshape(-1)
    indices = sorted({int(k * (flat.size - 1) / (SAMPLES - 1)) for k in range(SAMPLES)})
    return {"tolerance": tolerance, "length": flat.size, "samples": [[i, float(f"{flat[i]:.7g}")] for i in indices]}


def make(folder, role, input_name, shape, tolerance, value_max=255):
    """Writes ROLE.json with one entry for each source whose file is there."""
    size = int(numpy.prod(shape))
    picture = (numpy.arange(size) * 37 % 256).astype(numpy.float32).reshape(shape)
    picture /= numpy.float32(255 / value_max)
    models = []
    for source in tomllib.loads((HERE.parent / "manifest.toml").read_text())[role]["source"]:
        path = folder / source["file"]
        if not path.exists():
            continue
        by_reference = role == "face-detector"
        if path.suffix == ".tflite":
            outputs, made_with = run_tflite(str(path), picture), f"LiteRT {version('ai-edge-litert')}"
        else:
            outputs = run(str(path), {input_name: picture}, by_reference)
            made_with = (f"onnx {onnx.__version__}, reference evaluator" if by_reference
                         else f"ONNX Runtime {onnxruntime.__version__}")
        # A rewritten file must give what the original gives.
        hashes = [source.get("prepared_sha256", source["sha256"]), source.get("vectors_of")]
        models += [{
            "published": source["file"],
            "made_with": made_with,
            "sha256": sha256,
            "outputs": {name: samples(values, tolerance) for name, values in outputs.items()},
        } for sha256 in hashes if sha256]
    document = {"input": {"name": input_name, "shape": shape}, "models": models}
    if value_max != 255:
        document["input"]["value_max"] = value_max
    (HERE / f"{role}.json").write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    published = pathlib.Path(sys.argv[1])
    # A picture that is not square: it shows exchanged height and width.
    make(published, "face-detector", "input", [1, 3, 64, 96], 1e-3)
    make(published, "face-embedder", "data", [1, 3, 112, 112], 1e-3)
    # In pixels of the square, of which there are 192.
    make(published, "face-mesh", "input_1", [1, 3, 192, 192], 5e-3, 1)
    make(published, "anti-spoof", "input", [1, 3, 80, 80], 1e-3)
    # Its outputs reach into the hundreds of thousands of numbers, some of them large.
    make(published, "phone-detector", "images", [1, 3, 416, 416], 1e-2)
