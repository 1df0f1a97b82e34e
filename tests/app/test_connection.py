"""The connection of `cl-explore lab`, between a real server, a real kernel and a page."""

import asyncio
import socket
from pathlib import Path

import pytest
from jupyter_server.serverapp import ServerApp
from tornado.websocket import websocket_connect

from cl_explore.app.connection import PromptConnection


async def nodelay(folder: Path) -> bool:
    """Whether the server's end of a page's connection to a kernel sends small messages at once."""
    server = ServerApp(root_dir=str(folder), kernel_websocket_connection_class=PromptConnection, allow_root=True)
    server.initialize(["--port=0", "--no-browser", "--IdentityProvider.token=secret"], find_extensions=False)
    kernel = await server.kernel_manager.start_kernel()
    try:
        page = await websocket_connect(f"ws://127.0.0.1:{server.port}/api/kernels/{kernel}/channels?token=secret")
        await page.read_message()  # the kernel's first word: all connections are made
        (handler,) = PromptConnection._open_sessions.values()
        option = handler.ws_connection.stream.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        page.close()
        return bool(option)
    finally:
        await server.kernel_manager.shutdown_all()
        server.http_server.stop()


def test_small_messages_are_sent_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CONFIG", "DATA", "RUNTIME"):
        monkeypatch.setenv(f"JUPYTER_{name}_DIR", str(tmp_path / name))
    assert asyncio.run(nodelay(tmp_path))
