"""An HTTP interface for this machine, in a thread of the process that does the work."""

import threading
from typing import Self

import uvicorn
from fastapi import FastAPI

from mesh_fl.listen import bind


class LocalServer:
    """Serves an API in a thread while the context is open.

    Parameters
    ----------
    api : FastAPI
        What to serve.
    host, port : str, int
        Where; port 0 takes a free one.

    Raises
    ------
    NetworkError
        If the port is taken.
    """

    def __init__(self, api: FastAPI, host: str, port: int) -> None:
        self._socket = bind(host, port)
        self.address = f"http://{host}:{self._socket.getsockname()[1]}"
        config = uvicorn.Config(
            api, log_level="warning", access_log=False, lifespan="off", ws="none"
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._socket]}, daemon=True
        )

    def __enter__(self) -> Self:
        """Start to serve."""
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        """Stop, once running requests are answered."""
        self._server.should_exit = True
        self._thread.join(timeout=5)
        self._socket.close()
