"""A deadline for request headers: half a request must not hold a connection."""

import asyncio
import contextlib

from uvicorn.protocols.http.h11_impl import H11Protocol

HEADERS_S = 10.0
LINGER_S = 1.0
"""How long whoever was refused may take to read why; TLS would let it send on for 30 s."""


class DeadlineProtocol(H11Protocol):
    """Closes a connection whose request headers are not complete in time, or that sends on."""

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Expect a request."""
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Take what arrived; go on waiting while no request is complete."""
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """Cut off who goes on to send what nobody will read."""
        super().on_response_complete()
        if self.transport.is_closing():
            self.loop.call_later(LINGER_S, self.transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._stop()
        super().connection_lost(exc)

    def _watch(self) -> None:
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(HEADERS_S, self._give_up)

    def _stop(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        with contextlib.suppress(RuntimeError):
            self.transport.close()
