"""The exception tree.

AgentProfilerError            exit 1   anything we raise on purpose
├── UsageError                exit 2   wrong options, configuration or input
│   ├── WorkloadError                  a workload file, or data that it names
│   ├── JournalError                   a journal that cannot be read or written
│   ├── ProfileError                   a profile that cannot be read or combined
│   └── PlanError                      a demand, prices or a plan that cannot be used
├── GateFailedError           exit 3   a gate said no
├── InconclusiveError         exit 4   the numbers do not support an answer
└── TargetUnusableError       exit 5   the target refused, or failed past the error limit

A message is one line: what is wrong, where it is, what to do. A failed interaction is a record in
the journal, never an exception.
"""

from __future__ import annotations


class AgentProfilerError(Exception):
    """Base of every error that this package raises on purpose.

    `what` says what is wrong, `where` names the file, line, key or address, `fix` what to do.
    """

    exit_code = 1

    def __init__(self, what: str, *, where: str | None = None, fix: str | None = None) -> None:
        self.what = what
        self.where = where
        self.fix = fix
        super().__init__(self._line())

    def _line(self) -> str:
        line = f"{self.where}: {self.what}" if self.where else self.what
        if self.fix:
            line = f"{line.rstrip('.')}. {self.fix}"
        return " ".join(line.split())


class UsageError(AgentProfilerError):
    """Options, configuration or input that cannot be used."""

    exit_code = 2


class WorkloadError(UsageError):
    """A workload file, or data it refers to, is wrong."""


class JournalError(UsageError):
    """A journal cannot be read or written."""


class JournalInUseError(JournalError):
    """Another process is writing the journal."""


class ProfileError(UsageError):
    """A profile cannot be read, or profiles cannot be combined."""


class PlanError(UsageError):
    """A demand, a price or a plan cannot be used, or a profile lacks what a plan needs."""


class GateFailedError(AgentProfilerError):
    """A gate was evaluated and failed."""

    exit_code = 3


class InconclusiveError(AgentProfilerError):
    """Too few samples, unstable numbers, or the harness was the bottleneck."""

    exit_code = 4


class TargetUnusableError(AgentProfilerError):
    """The target refused connections, or failed past the error limit."""

    exit_code = 5
