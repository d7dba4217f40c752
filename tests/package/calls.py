"""A driver that calls the scripts as Azure does: `init` once, then `run`; prints the answers as JSON.

python calls.py SCRIPT ARGUMENT...: each argument is the JSON of what `run` is given.
"""

import importlib.util
import json
import sys

spec = importlib.util.spec_from_file_location("script", sys.argv[1])
assert spec is not None
assert spec.loader is not None
script = importlib.util.module_from_spec(spec)
spec.loader.exec_module(script)
script.init()
for argument in sys.argv[2:]:
    try:
        answer = script.run(json.loads(argument))
        print(json.dumps({"csv": answer.to_csv(header=False)}))
    except Exception as error:  # noqa: BLE001 - whatever the driver is told
        print(json.dumps({"error": f"{type(error).__name__}: {error}"}))
