"""Load a model with the real MLflow, predict with it, and print what it is as JSON: python load.py FOLDER."""

import base64
import json
import sys

import mlflow
import pandas as pd

model = mlflow.pyfunc.load_model(sys.argv[1])
given = json.load(sys.stdin)
frame = pd.DataFrame(**given["table"])
for column in ("image", "mask_image"):
    frame[column] = [base64.b64decode(cell) for cell in frame[column]]
answers = [model.predict(frame, params=given["params"]).to_dict("records") for _ in range(2)]
import retouch  # noqa: E402 - only now is the package's code on the path

signature = model.metadata.signature
print(
    json.dumps(
        {
            "answers": answers,
            "code": retouch.__file__,
            "inputs": [(one.name, one.type.name, one.required) for one in signature.inputs],
            "params": [one.name for one in signature.params],
        }
    )
)
