"""What the library's network part lacks: a deadline for TLS, a wait after what was only accepted, lookups beside its
one thread, and why it was refused.

All but the last are changed for all clients of the process. Private parts of kafka-python 3.0.12, which is pinned.
"""

import ssl
import time
from typing import Any

from kafka.errors import IllegalSaslStateError, SaslAuthenticationFailedError, UnsupportedSaslMechanismError
from kafka.net import manager as manager_module
from kafka.net.compat import KafkaNetClient
from kafka.net.inet import KafkaNetSocket
from kafka.net.manager import KafkaConnectionManager
from kafka.net.transport import KafkaSSLTransport

from worker.adapters.kafka import api_versions
from worker.adapters.kafka.names import known, look_up_and_connect

#: The other side of a TLS handshake has as long (s).
HANDSHAKE_WITHIN = 10.0


async def _handshake(transport: Any) -> None:
    """In the place of the library's, which waits for the other side without end, and all that is to be sent there too.

    So a broker's address where somebody accepts and says nothing would stop the client, and nobody would notice.
    """
    until = time.monotonic() + HANDSHAKE_WITHIN
    try:
        while True:
            try:
                transport._sock.do_handshake()
            except ssl.SSLWantReadError:
                await transport._net.wait_read(transport._sock, until)
            except ssl.SSLWantWriteError:
                await transport._net.wait_write(transport._sock, until)
            else:
                return
    except BaseException as error:
        transport.abort(error)
        raise


KafkaSSLTransport.handshake = _handshake
_connect = KafkaConnectionManager._connect


async def _connect_or_back_off(
    manager: Any, node: Any, made: Any, reset_backoff_on_connect: bool = True, timeout_at: float | None = None
) -> None:
    """In the place of the library's, which takes a connection that is accepted and then closed for one that was made.

    Where a proxy accepts without a broker behind it, it would try again at once, some thousand times a second.
    """
    before = manager._backoff.get(node.node_id)
    api_versions.choose(manager, made)
    await _connect(manager, node, made, reset_backoff_on_connect=False, timeout_at=timeout_at)
    api_versions.learn(manager, made)
    if not reset_backoff_on_connect:
        return  # whoever asked for that keeps count
    if made.init_future.succeeded():
        manager.reset_backoff(node.node_id)
    elif manager._backoff.get(node.node_id) is before:
        manager.update_backoff(node.node_id)


KafkaConnectionManager._connect = _connect_or_back_off

KafkaNetSocket.dns_lookup = known
manager_module.create_connection = look_up_and_connect


class Network:
    """The network part of one client, watched while the client connects.

    The library leaves the thread and the sockets of a client whose constructor failed, and after a refused password
    goes on trying until it speaks of a time-out only.
    """

    def __init__(self) -> None:
        self.refusal: Exception | None = None
        self.dropped = False
        self._client: Any = None

    def __call__(self, **options: Any) -> Any:
        self._client = KafkaNetClient(**options)
        get_connection = self._client._manager.get_connection

        def watched(*args: Any, **kwargs: Any) -> Any:
            opened = get_connection(*args, **kwargs)
            opened.close_future.add_errback(self._note)
            return opened

        self._client._manager.get_connection = watched
        return self._client

    def forget(self) -> None:
        """The client is connected: the library's own method again."""
        del self._client._manager.get_connection

    def close(self) -> None:
        if self._client is not None:
            self._client.close()

    def _note(self, error: Exception) -> None:
        if isinstance(error, SaslAuthenticationFailedError | UnsupportedSaslMechanismError | IllegalSaslStateError):
            self.refusal = error
        elif api_versions.hung_up(error):
            self.dropped = True
