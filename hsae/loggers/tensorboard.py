"""TensorBoard: event files beside the results, `tensorboard --logdir outputs`."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, final

from hsae.config import Part
from hsae.errors import UserError
from hsae.loggers.log import Log, Run


class Settings(Part):
    name: Literal["tensorboard"]


@contextmanager
def opened(settings: Settings, run: Run) -> Iterator[Log]:  # noqa: ARG001  every logger is opened with its settings
    """Event files in the folder `events` of the artifact. Raises UserError where there is no TensorBoard."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ModuleNotFoundError:
        raise UserError('logger=tensorboard needs TensorBoard: pip install "hsae[tensorboard]".') from None
    with SummaryWriter(str(run.folder / "events")) as writer:
        yield TensorBoard(writer)


@final
class TensorBoard:
    def __init__(self, writer: Any):
        self._writer, self._tokens = writer, 0

    def scalars(self, values: Mapping[str, int | float], *, tokens: int) -> None:
        self._tokens = tokens
        for name, value in values.items():
            self._writer.add_scalar(name, value, tokens)

    def table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        lines = [columns, ["---"] * len(columns), *rows]
        text = "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)
        self._writer.add_text(name, text, self._tokens)

    def image(self, name: str, path: Path) -> None:
        import numpy as np
        from PIL import Image

        self._writer.add_image(
            name, np.asarray(Image.open(path).convert("RGB")), self._tokens, dataformats="HWC"
        )

    def rewind(self, tokens: int) -> None:
        """TensorBoard forgets what was said beyond the step of a new start (`purge_step`)."""
        from tensorboard.compat.proto.event_pb2 import Event, SessionLog  # type: ignore[attr-defined]

        start = SessionLog(status=SessionLog.SessionStatus.START)
        self._writer.file_writer.add_event(Event(session_log=start), tokens + 1)
        self._tokens = tokens

    def summary(self, values: Mapping[str, int | float | str]) -> None:
        self.table("summary", ["number", "value"], list(values.items()))
