"""The target's ceiling: the least that a client can do. Prints requests a second.

python -m tests.bench.load PORT CONNECTIONS SECONDS
"""

import select
import socket
import sys
import time

BODY = (
    b"key=sk_fake&id=1&currency=EUR&visit_id=3617898c651df0f8617f70a0&is_logged_in=0&products%5B0%5D%5Bid%5D=1"
    b"&products%5B0%5D%5Bname%5D=Product&products%5B0%5D%5Bquantity%5D=1&products%5B0%5D%5Bprice%5D=29.99"
)


def main(port: int, connections: int, seconds: float) -> None:
    request = (
        b"POST /api/customer-cart HTTP/1.1\r\nhost: 127.0.0.1\r\naccept: application/json\r\n"
        b"content-type: application/x-www-form-urlencoded\r\ncontent-length: %d\r\n\r\n" % len(BODY)
    ) + BODY
    epoll = select.epoll()
    sockets = {}
    for _ in range(connections):
        opened = socket.create_connection(("127.0.0.1", port))
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sockets[opened.fileno()] = opened
        epoll.register(opened.fileno(), select.EPOLLIN)
        opened.send(request)
    answered, started = 0, time.perf_counter()
    while time.perf_counter() - started < seconds:
        for number, _ in epoll.poll():
            sockets[number].recv(4096)
            sockets[number].send(request)
            answered += 1
    print(answered / (time.perf_counter() - started))  # noqa: T201


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))
