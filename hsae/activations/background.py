"""Work done ahead of time in a thread, while the one who wants it is still busy with what came before."""

import atexit
from collections.abc import Iterable, Iterator
from queue import Empty, Full, Queue
from threading import Event, Thread
from typing import Any, TypeVar

T = TypeVar("T")

_PATIENCE = 0.1  # seconds between two looks at whether anybody still wants the next item


def ahead(items: Iterable[T], *, depth: int = 1) -> Iterator[T]:
    """The items, of which a thread makes up to `depth` before they are asked for.

    What the thread raises is raised here, in its place. It ends when this iterator is closed or forgotten, at
    the latest with the program.
    """
    made: Queue[tuple[str, Any]] = Queue(depth)
    unwanted = Event()
    thread = Thread(target=_make, args=(items, made, unwanted), name="ahead", daemon=True)

    def end() -> None:
        unwanted.set()
        _drain(made)  # the thread may be waiting for room
        thread.join()

    atexit.register(end)  # a thread that is inside torch when the interpreter goes would abort it
    thread.start()
    try:
        while True:
            kind, item = made.get()
            if kind == "end":
                return
            if kind == "error":
                raise item
            yield item
    finally:
        if not unwanted.is_set():  # else the program ends, and has called it
            atexit.unregister(end)
            end()


def _make(items: Iterable[Any], made: Queue[tuple[str, Any]], unwanted: Event) -> None:
    def hand_over(kind: str, item: Any) -> bool:
        while not unwanted.is_set():
            try:
                made.put((kind, item), timeout=_PATIENCE)
            except Full:
                continue
            return True
        return False

    try:
        if all(hand_over("item", item) for item in items):
            hand_over("end", None)
    except BaseException as error:  # noqa: BLE001  raised again where the items are wanted
        hand_over("error", error)
    finally:
        if close := getattr(items, "close", None):
            close()


def _drain(made: Queue[Any]) -> None:
    while True:
        try:
            made.get_nowait()
        except Empty:
            return
