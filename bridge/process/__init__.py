"""Worker processes: one framework each, many jobs, their chatter held back.

TensorFlow and torch must not share a process: TensorFlow's wheels load their LLVM with RTLD_GLOBAL and triton, which
torch loads on demand, then crashes on it with no traceback. So each side runs in a worker of its own, started here.
A job is a function of `bridge.<side>.jobs.JOBS`; arguments and result are JSON values with numpy arrays among them.
"""

from bridge.process.rivals import claim
from bridge.process.workers import ONEDNN, Worker, WorkerCrashed, import_ahead, worker

__all__ = ["ONEDNN", "Worker", "WorkerCrashed", "claim", "import_ahead", "worker"]
