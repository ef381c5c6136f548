"""gunicorn's thread worker, made safe against clients that stop in the middle of a request.

It may not touch what a request says or how it is answered; only how long a client may take.
"""

import socket
import struct
import time
from typing import Any, Final

from gunicorn.workers.gthread import ThreadWorker

SILENCE_SECONDS: Final = 5
"""How long a client may send nothing while a request is incomplete."""
REQUEST_SECONDS: Final = 20
"""How long a request may take to arrive in all; a client that drips keeps within the silence."""
LINGER_SECONDS: Final = 2.0
LINGER_BYTES: Final = 65_536


class StallProofWorker(ThreadWorker):  # type: ignore[misc] # gunicorn has no types
    """The thread worker with two time limits, and with slow goodbyes kept off its main thread.

    On its own it waits for the rest of a request without a limit, one thread each: as many stalled
    clients as there are threads close the door.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._arriving: dict[Any, float] = {}

    def init_process(self) -> None:
        """Give every connection the limit on silence: accepted sockets inherit it."""
        limit = struct.pack("ll", SILENCE_SECONDS, 0)
        for listener in self.sockets:
            listener.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
        super().init_process()

    def handle(self, conn: Any) -> Any:
        """Handle a request in a thread, until its deadline at most."""
        self._arriving[conn] = time.monotonic() + REQUEST_SECONDS
        try:
            result = super().handle(conn)
        finally:
            self._arriving.pop(conn, None)
        if result is False:
            _say_goodbye(conn.sock)
        return result

    def murder_pending(self) -> None:
        """Close what is overdue; the main loop calls this at least once a second."""
        super().murder_pending()
        now = time.monotonic()
        for conn, deadline in list(self._arriving.items()):
            if now > deadline:
                # Ends the waiting for more; an answer that is under way still goes out.
                _shut(conn.sock, socket.SHUT_RD)


def _say_goodbye(connection: socket.socket) -> None:
    """Let the client read our answer before the connection is closed.

    gunicorn does the same on its main thread, for up to two seconds: a hundred stalled clients
    would stop it for minutes. Afterwards there is nothing left for it to wait for.
    """
    _shut(connection, socket.SHUT_WR)
    deadline = time.monotonic() + LINGER_SECONDS
    drained = 0
    try:
        while drained < LINGER_BYTES and (left := deadline - time.monotonic()) > 0:
            connection.settimeout(left)
            received = len(connection.recv(4096))
            if not received:
                break
            drained += received
    except OSError:
        # The client is gone, or still silent: nobody reads our answer any more.
        pass
    _shut(connection, socket.SHUT_RD)


def _shut(connection: socket.socket, direction: int) -> None:
    try:
        connection.shutdown(direction)
    except OSError:
        # Closed by the other side, or by gunicorn in the meantime: what we wanted.
        return
