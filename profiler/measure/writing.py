"""The writer of a journal: appends to the file, holds it against other writers, mends its end."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from contextlib import suppress
from typing import TYPE_CHECKING

import orjson

from profiler.errors import JournalError, JournalInUseError
from profiler.measure import SHARDS_NAME
from profiler.measure.lines import to_line
from profiler.measure.syncing import Fsync, Syncer

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from profiler.measure.records import Record

_BLOCK = 65_536
_NO_LOCKS = frozenset({errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP})


class JournalWriter:
    """Appends records to a journal file. Each `append` is one write to the operating system.

    So what was appended survives the end of this process, however it comes. Not safe to use from
    several threads at once. A failing write raises `JournalError`; nothing is swallowed. Of an
    `append` that failed nothing stays behind: half a line in the middle would make the journal
    unreadable. While it is open, no other writer can open the same file.

    `resume` appends to the journal that is there, whose torn last line it mends first: one that
    lacks only its end gets it, any other is cut off, as a reader leaves it out.
    """

    def __init__(self, path: Path, *, fsync: Fsync = Fsync.INTERVAL, resume: bool = False) -> None:
        self.path = path
        flags = os.O_RDWR if resume else os.O_RDWR | os.O_CREAT | os.O_EXCL
        try:
            self._fd = os.open(path, flags | os.O_APPEND, 0o644)
        except FileExistsError as exc:
            raise JournalError(
                "a journal is already there",
                where=str(path),
                fix="Give another --out directory: a journal is never overwritten",
            ) from exc
        except OSError as exc:
            raise JournalError(
                f"cannot {'open' if resume else 'create'} the journal: {exc.strerror}",
                where=str(path),
                fix="Give the directory of a run, as `agent-profiler run` printed it"
                if resume
                else "Give --out a directory that is writable",
            ) from exc
        try:
            self._take_hold()
            if resume:
                _mend(self._fd, path)
        except BaseException:
            os.close(self._fd)
            raise
        self.closed = False
        self._torn = False
        self._syncer = Syncer(self._fd, path.parent, fsync)

    def _take_hold(self) -> None:
        """Lock the file. A device has no lock, nor has a file on a file system without locks."""
        if not stat.S_ISREG(os.fstat(self._fd).st_mode):
            return
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            raise JournalInUseError(
                "another process is writing this journal",
                where=str(self.path),
                fix="Wait until it has ended, or end it",
            ) from exc
        except OSError as exc:
            if exc.errno not in _NO_LOCKS:
                raise self._write_error(exc.strerror) from exc

    def append(self, records: Iterable[Record]) -> None:
        """Write the records, each on its line, in one go. Raises `JournalError`."""
        view = memoryview(b"".join(to_line(record) for record in records))
        if self.closed or self._torn:
            raise self._write_error("it was closed, or half a line was written, before")
        if self._syncer.failure is not None:
            raise self._write_error(self._syncer.failure.strerror)
        written = 0
        try:
            while written < len(view):
                written += os.write(self._fd, view[written:])
        except OSError as exc:
            self._take_back(written)
            raise self._write_error(exc.strerror) from exc
        self._syncer.wrote()

    def _take_back(self, written: int) -> None:
        """Cut off the `written` bytes of an append that failed; if that fails, write no more."""
        if not written:
            return
        self._torn = True
        with suppress(OSError):  # the error that led here is the one to report
            os.ftruncate(self._fd, os.fstat(self._fd).st_size - written)
            self._torn = False

    def close(self) -> None:
        """Force what was written to the disk, unless `never`, and close. May be called twice.

        Raises `JournalError` if the disk does not take it.
        """
        if self.closed:
            return
        self.closed = True
        try:
            self._syncer.close()
        except OSError as exc:
            raise self._write_error(exc.strerror) from exc
        finally:
            os.close(self._fd)

    def _write_error(self, problem: str | None) -> JournalError:
        run_dir = self.path.parent
        if run_dir.parent.name == SHARDS_NAME:
            run_dir = run_dir.parent.parent
        return JournalError(
            f"cannot write the journal: {problem}",
            where=str(self.path),
            fix=(
                "What was written before is kept: free space, then go on with "
                f"`agent-profiler run --resume {run_dir}`, or leave it at that with "
                f"`agent-profiler profile {run_dir}`"
            ),
        )


def nothing_sent(where: Path) -> JournalError:
    """Return the error of a run that ended before its first line was written."""
    return JournalError(
        "the journal has no whole first line: nothing was sent",
        where=str(where),
        fix="Run the workload again, with another --out",
    )


def _mend(descriptor: int, path: Path) -> None:
    """Make the last line whole, or cut it off. Raises `JournalError` where it is the only one."""
    size = os.fstat(descriptor).st_size
    tail = b""
    while b"\n" not in tail and len(tail) < size:
        length = min(_BLOCK, size - len(tail))
        tail = os.pread(descriptor, length, size - len(tail) - length) + tail
    tail = tail.rpartition(b"\n")[2]
    if len(tail) == size:
        raise nothing_sent(path)
    try:
        if tail:
            orjson.loads(tail)
            os.write(descriptor, b"\n")
    except orjson.JSONDecodeError:
        os.ftruncate(descriptor, size - len(tail))
