"""The Keras process that makes files and answers questions while the tests wait."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from bridge.errors import BridgeError


class KerasProcess:
    """keras_files/keras_process.py, one for all tests: starting TensorFlow takes seconds."""

    def __init__(self):
        self.said = tempfile.TemporaryFile()  # noqa: SIM115 (lives as long as the process)
        script = Path(__file__).parent / "keras_files" / "keras_process.py"
        self.process = subprocess.Popen(
            [sys.executable, "-P", str(script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.said,
            text=True,
            env=os.environ | {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"},
        )

    def __call__(self, job, **arguments):
        self.process.stdin.write(json.dumps({"job": job, "arguments": arguments}, default=str) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            self.said.seek(0)
            raise RuntimeError(self.said.read()[-3000:].decode(errors="replace"))
        answer = json.loads(line)
        if "refused" in answer:
            raise BridgeError(answer["refused"])
        if "bug" in answer:
            raise RuntimeError(answer["bug"])
        return answer["result"]

    def script(self, text, *words):
        """Runs a program in it, with these arguments."""
        self("script", text=text, words=[str(word) for word in words])

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()
        self.said.close()
