"""A uvloop protocol that answers each packet with the same reply, without parsing it: the cost of the socket alone."""

from __future__ import annotations

import asyncio

import uvloop

from benchmarks.apps.constant import REPLY

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json;charset=UTF-8\r\ncontent-length: %d\r\n\r\n" % len(REPLY)


class ConstantConnection(asyncio.Protocol):
    """One connection; each packet is one request."""

    transport: asyncio.Transport

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as for any TCP server
        """Keep the transport."""
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer."""
        self.transport.write(HEAD + REPLY)


async def main() -> None:
    """Serve, and print the URL."""
    server = await asyncio.get_running_loop().create_server(ConstantConnection, "127.0.0.1", 0)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
