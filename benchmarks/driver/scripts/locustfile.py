"""What Locust sends: so many POSTs with one body, over its fast client, and no waiting."""

from __future__ import annotations

import itertools
import os

from locust import FastHttpUser, task  # type: ignore[import-not-found] # a peer, if installed
from locust.exception import StopUser  # type: ignore[import-not-found] # the same

LEFT = itertools.count(int(os.environ["BENCH_REQUESTS"]), -1)
BODY = os.environ["BENCH_BODY"]
PATH = os.environ["BENCH_PATH"]
HEADERS = {"Content-Type": "application/json"}


class Sender(FastHttpUser):  # type: ignore[misc] # of a package that need not be there
    @task
    def send(self) -> None:
        """Send one request, or end the run."""
        left = next(LEFT)
        if left > 0:
            self.client.post(PATH, BODY, headers=HEADERS)
            return
        if left == 0:
            runner = self.environment.runner
            runner.greenlet.spawn(runner.quit)
        raise StopUser
