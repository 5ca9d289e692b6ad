"""When what a journal wrote is forced to the disk: in a thread, so that nobody waits for a disk.

What was written survives the end of the process, however it comes, without any of this. Only the
end of the machine (power, kernel) loses what the disk has not been told to keep.
"""

from __future__ import annotations

import os
import threading
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

INTERVAL_S = 1.0


class Fsync(StrEnum):
    """How much of a journal a power failure may take.

    `always`: what came while the disk took the last; `interval`: a second; `never`: what the system
    had not written yet, usually half a minute.
    """

    ALWAYS = "always"
    INTERVAL = "interval"
    NEVER = "never"


class Syncer:
    """Forces one file to the disk whenever something was written to it. `failure` says why not.

    One fsync takes all that was written before it began, so writes never queue up for the disk.
    """

    def __init__(self, descriptor: int, folder: Path, mode: Fsync) -> None:
        self._descriptor = descriptor
        self._folder = folder
        self._mode = mode
        self._written = threading.Event()
        self._is_over = threading.Event()
        self._thread: threading.Thread | None = None
        self.failure: OSError | None = None

    def wrote(self) -> None:
        """Take note that there is something new. Costs nothing while a note is pending."""
        if self._mode is Fsync.NEVER or self._written.is_set():
            return
        self._written.set()
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="fsync", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """End the thread, then force what is left. Raises `OSError` if the disk does not take it.

        So does an earlier failure: the system reports one only once, and what it lost stays lost.
        """
        self._is_over.set()
        self._written.set()
        if self._thread is not None:
            self._thread.join()
        if self.failure is not None:
            raise self.failure
        if self._mode is not Fsync.NEVER:
            os.fsync(self._descriptor)

    def _work(self) -> None:
        pause_s = INTERVAL_S if self._mode is Fsync.INTERVAL else 0.0
        try:
            _sync_folder(self._folder)
            while True:
                self._written.wait()
                if self._is_over.is_set():
                    return
                self._written.clear()
                os.fdatasync(self._descriptor)
                self._is_over.wait(pause_s)
        except OSError as exc:
            self.failure = exc


def _sync_folder(folder: Path) -> None:
    """Force the entry of a new file to the disk: without it the file's content has no name."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
