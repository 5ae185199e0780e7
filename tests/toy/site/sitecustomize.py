"""Python imports this when it starts: the toy jobs stand beside the real ones, in a sweep's workers too."""

from pathlib import Path

import hsae.contexts
import hsae.jobs

TOY = Path(__file__).resolve().parents[1]
hsae.jobs.__path__.append(str(TOY / "jobs"))
hsae.contexts.__path__.append(str(TOY / "contexts"))
