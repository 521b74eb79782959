"""How fast one exchange is asked: a budget of request weight a minute, pauses it demanded, and a stop for good."""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from daybook.market.http_errors import HostStoppedError, UnreachableError

_MINUTE_S = 60.0
_FAILURES = 2
"""So many requests in a row that failed in every attempt say that the host is down; others need not wait for it too."""


def _jitter() -> float:
    return random.SystemRandom().random()


@dataclass(frozen=True)
class Clock:
    """Where a client's time and chance come from: now() in seconds that never run back, sleep(seconds), and a
    random() in [0, 1) that spreads retries and can not reach any result."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    random: Callable[[], float] = _jitter


@dataclass
class HostPace:
    """The pace of one host, shared by every thread that asks it.

    weight_per_minute: what all requests of any 60 seconds may weigh. longest_wait_s: a longer wait is an error.
    """

    host: str
    clock: Clock
    weight_per_minute: int
    longest_wait_s: float
    _spent: deque[tuple[float, int]] = field(default_factory=deque)
    _free_at: float = float("-inf")
    _stopped: UnreachableError | None = None
    _failures: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, weight: int) -> None:
        """Wait until a request of this weight may be sent, and count it.

        Raises HostStoppedError after a ban, UnreachableError when the host is down or the wait would be longer than
        allowed.
        """
        while True:
            with self._lock:
                if self._stopped:
                    raise type(self._stopped)(str(self._stopped))
                wait = self._wait(weight)
                if wait <= 0:
                    self._spent.append((self.clock.now(), weight))
                    return
            if wait > self.longest_wait_s:
                raise UnreachableError(
                    f"{self.host}: asks for {wait:.0f} s of silence, at most {self.longest_wait_s:.0f} s are waited "
                    "for. Run again later."
                )
            self.clock.sleep(wait)

    def pause(self, seconds: float) -> None:
        """Let nobody ask this host for so long."""
        with self._lock:
            self._free_at = max(self._free_at, self.clock.now() + seconds)

    def stop(self, reason: str) -> None:
        """Let nobody ask this host again: it has banned us."""
        with self._lock:
            self._stopped = HostStoppedError(reason)

    def failed(self) -> None:
        """Count a request that failed in every attempt; after some in a row nobody asks again."""
        with self._lock:
            self._failures += 1
            if self._failures >= _FAILURES and self._stopped is None:
                self._stopped = UnreachableError(
                    f"{self.host}: {self._failures} requests in a row got no usable answer in any attempt, so it is "
                    "not asked again in this run. Check the network, then run again."
                )

    def answered(self) -> None:
        """Note a whole answer."""
        with self._lock:
            self._failures = 0

    def observe(self, used: int) -> None:
        """Count what the host says was used in this minute, which other programs at this address may have spent."""
        with self._lock:
            self._forget()
            others = used - sum(weight for _, weight in self._spent)
            if others > 0:
                self._spent.append((self.clock.now(), others))

    def _wait(self, weight: int) -> float:
        now = self.clock.now()
        self._forget()
        wait = self._free_at - now
        excess = sum(spent for _, spent in self._spent) + weight - self.weight_per_minute
        for moment, spent in self._spent:
            if excess <= 0:
                break
            excess -= spent
            wait = max(wait, moment + _MINUTE_S - now)
        return wait

    def _forget(self) -> None:
        horizon = self.clock.now() - _MINUTE_S
        while self._spent and self._spent[0][0] <= horizon:
            self._spent.popleft()
