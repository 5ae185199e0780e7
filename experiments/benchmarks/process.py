"""Peak memory of work that is done in a process of its own."""

import resource
import subprocess
import sys
from pathlib import Path


def peak_of(module: str, *words: str) -> int:
    """Bytes that `python -m module words` held at most, which it says in its last word."""
    done = subprocess.run([sys.executable, "-m", module, *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join([module, *words])} ended with {done.returncode}: {done.stderr[-500:]}")
    return int(done.stdout.split()[-1])


def peak_of_this() -> int:
    """Bytes. On Linux `ru_maxrss` would not do: a child starts with what its parent held at the fork."""
    status = Path("/proc/self/status")
    if status.is_file():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return 1024 * int(line.split()[1])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
