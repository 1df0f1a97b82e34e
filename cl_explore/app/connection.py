"""The connection between JupyterLab's pages and their kernels that `cl-explore lab` serves."""

from typing import Any

from jupyter_server.services.kernels.connection.channels import ZMQChannelsWebsocketConnection


class PromptConnection(ZMQChannelsWebsocketConnection):
    """Sends every message of the kernel at once.

    Jupyter Server leaves Nagle's algorithm on: a small message (the kernel is busy) makes the next one (the new
    picture) wait until the browser has acknowledged the first, which browsers put off by 40 ms. To have it in a server
    of your own: `c.ServerApp.kernel_websocket_connection_class = "cl_explore.app.connection.PromptConnection"`.
    """

    def connect(self) -> Any:
        """Connect the page that this connection was made for."""
        self.websocket_handler.set_nodelay(True)
        return super().connect()
