"""Runs a piece of work, kills it at chosen moments, runs it again, and sees whether the bytes differ."""

import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from textwrap import dedent

# One interpreter imports what the work needs, which takes seconds; each attempt is forked from it, before
# torch has any thread.
HARNESS = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast
import hsae.lm.loading
{imports}

def work(out):
{work}

def attempt(out, call, number):
    if (child := os.fork()) == 0:
        sys.excepthook = lambda *error: (sys.__excepthook__(*error), os._exit(1))
        home = {{"fsync": os, "replace": Path}}[call]
        real, calls = getattr(home, call), []
        def dying(*arguments):
            calls.append(arguments)
            if call == "replace":
                real(*arguments)
            if len(calls) == number:
                os.kill(os.getpid(), signal.SIGKILL)
            if call == "fsync":
                real(*arguments)
        setattr(home, call, dying)
        out.mkdir(exist_ok=True)
        work(out)
        os._exit(0)
    return os.waitpid(child, 0)[1]

whole, killed = Path({folder!r}) / "whole", Path({folder!r}) / "killed"
died = [attempt(killed, call, number) == signal.SIGKILL for call, number in {moments!r}]
assert all(died), f"these attempts ended before they could be killed: {{died}}"
assert attempt(killed, "fsync", -1) == attempt(whole, "fsync", -1) == 0
"""

MOMENTS = (("replace", 1), ("fsync", 3))
"""Before the n-th file is safe on the disk, or after it got its name and before the journal knows of it."""


def killed_and_whole(
    folder: Path, *, imports: str, work: str, moments=MOMENTS
) -> tuple[dict[str, str], dict[str, str]]:
    """Contents (name -> hash) after kills at each of the moments, each resumed, and of an undisturbed run.

    `work` is the body of a function of `out`, the folder to write to.
    """
    body = "\n".join("    " + line for line in dedent(work).strip().splitlines())
    program = HARNESS.format(
        tests=str(Path(__file__).parent),
        imports=dedent(imports),
        work=body,
        folder=str(folder),
        moments=tuple(moments),
    )
    subprocess.run([sys.executable, "-c", program], check=True)
    return contents(folder / "killed"), contents(folder / "whole")


def contents(folder: Path) -> dict[str, str]:
    """The name and hash of every file, log.jsonl apart: it holds wall times."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != "log.jsonl")
    return {str(path.relative_to(folder)): sha256(path.read_bytes()).hexdigest() for path in files}
