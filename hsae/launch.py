"""One job as several processes: PyTorch's elastic launcher runs them as children, over the same unfinished
artifact.

    def run(job):  launch(job)            # in the job's module, where hardware.processes > 1
    def work(job, process, processes):    # what each of them does; they meet in torch.distributed

The configuration is composed and checked once, by the parent; the children read what it came to.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

from hsae import build
from hsae.artifact import Artifact, plain
from hsae.build.mistakes import check
from hsae.config import Config
from hsae.errors import UserError
from hsae.execute import Job
from hsae.loggers import Fan

ORDERS, LOG, FAILED = "processes.json", "processes.log", "failed-{}.txt"
"""What the children are told, what they print, what went wrong in each: in a temporary folder, so that a kill
leaves none of it in the artifact."""
_LOOK = 0.5  # seconds between two looks at how far they are
_LONGEST = timedelta(days=7)  # that one process waits for the others


def launch(job: Job, progress: Callable[[], int]) -> Iterator[int]:
    """Run `work` of the job's module in `hardware.processes` processes; yields what `progress` says
    meanwhile.

    Raises UserError with what a child said, where one failed; the launcher then stops the others.
    """
    processes = job.config.hardware.processes
    threads = job.config.hardware.threads or max(1, (os.cpu_count() or 1) // processes)
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "TOKENIZERS_PARALLELISM": "true"}
    with tempfile.TemporaryDirectory(prefix="hsae-") as place:
        folder = Path(place)
        (folder / ORDERS).write_text(json.dumps(_orders(job)))
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node"]
        command += [str(processes), "-m", "hsae.launch", str(folder / ORDERS)]
        log = (folder / LOG).open("w")
        with log as stream, subprocess.Popen(command, env=environment, stderr=stream) as children:
            try:
                while children.poll() is None:
                    yield progress()
                    time.sleep(_LOOK)
            finally:
                children.terminate()
        yield progress()
        if children.returncode:
            raise UserError(_failure(folder, processes))


def _orders(job: Job) -> dict[str, Any]:
    return {
        "config": plain(job.config.model_dump()),
        "out": str(job.out),
        "inputs": {role: str(found.folder) for role, found in job.inputs.items()},
        "parent": os.getpid(),
    }


def _failure(folder: Path, processes: int) -> str:
    """What the first process to fail said, else the end of what the launcher itself has to say."""
    said = sorted(folder.glob(FAILED.format("*")), key=lambda file: file.stat().st_mtime_ns)
    first = said[0].read_text() if said else (folder / LOG).read_text()[-2000:]
    return f"one of {processes} processes failed, and the others were stopped:\n{first.strip()}"


def orphaned(parent: int) -> bool:
    """Whether the process that is waiting for this one is gone: its artifact may by now be another's work."""
    try:
        os.kill(parent, 0)
    except ProcessLookupError:
        return True
    return False


def _child(orders: Path) -> None:
    """What each process does: its share of the job's work, and a file that says what went wrong."""
    from torch import distributed

    told = json.loads(orders.read_text())
    process, processes = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    failed = orders.with_name(FAILED.format(process))
    config = _on_its_own_gpu(check(told["config"]), process)
    inputs = {role: Artifact(Path(folder), {}) for role, folder in told["inputs"].items()}
    job = Job(config, Path(told["out"]), inputs, Fan(()))
    # they do no more than wait for each other, and NCCL would refuse two of them on one GPU
    distributed.init_process_group("gloo", timeout=_LONGEST)
    try:
        build.job_module(config).work(job, process, processes, alive=lambda: not orphaned(told["parent"]))
    except UserError as error:
        failed.write_text(str(error))
        raise SystemExit(1) from None
    except Exception:
        failed.write_text(traceback.format_exc())
        raise
    finally:
        distributed.destroy_process_group()


def _on_its_own_gpu(config: Config, process: int) -> Config:
    import torch

    from hsae.hardware import device

    found = device(config.hardware.device)
    if found == "cuda":
        found = f"cuda:{process % torch.cuda.device_count()}"
        torch.cuda.set_device(found)
    return config.model_copy(update={"hardware": config.hardware.model_copy(update={"device": found})})


if __name__ == "__main__":
    _child(Path(sys.argv[1]))
