"""What can go wrong between Daybook and an exchange, as a person sees it; no message bears a query string."""

from __future__ import annotations

from daybook.core.errors import DataError


class ExchangeError(DataError):
    """An exchange did not give what was asked for."""


class AddressRefusedError(ExchangeError):
    """An address that is not on the list of exchanges, or a redirect; nothing was sent there."""


class NotFoundError(ExchangeError):
    """The exchange answered 404: the file or market is not there, or not yet."""


class StatusError(ExchangeError):
    """A refusal that asking again does not change, such as 400 or 403."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class AnswerError(ExchangeError):
    """An answer of another form than documented, too large, or with impossible values."""


class UnreachableError(ExchangeError):
    """No usable answer after every attempt: what was to be refreshed stays stale."""


class HostStoppedError(UnreachableError):
    """The exchange has banned this address (418): no further request goes there in this run."""
