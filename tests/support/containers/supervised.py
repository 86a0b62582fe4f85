"""A service under a supervisor: started again whenever it fails, as systemd, Compose and Kubernetes do."""

from __future__ import annotations

import threading
from pathlib import Path
from subprocess import TimeoutExpired

from services_on_kafka import Service

_RESTART_S = 1.0
_POLL_S = 0.1


class SupervisedService:
    """Starts a service, and again after each exit with another code than 0 (`Restart=on-failure`).

    Attributes:
        service: the service as it runs now.
        codes: the codes with which it has exited by itself.
    """

    def __init__(self, name: str, env: dict[str, str], log: Path, *words: object) -> None:
        """Starts the service, whose output is appended to `log`.

        Args:
            name: the command that runs the service, such as `infer`.
            words: further arguments of the command.
        """
        self.codes: list[int] = []
        self._arguments = (name, env, log, *words)
        self.service = Service(*self._arguments)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._restart_on_failure, daemon=True)
        self._thread.start()

    def stop(self) -> int:
        """Sends SIGTERM, and returns the exit code of the service; it is not started again."""
        self._stopped.set()
        self._thread.join()
        self.service.process.terminate()
        try:
            return self.service.process.wait(timeout=60)
        finally:
            self.service.kill()

    def _restart_on_failure(self) -> None:
        while not self._stopped.is_set():
            try:
                code = self.service.process.wait(timeout=_POLL_S)
            except TimeoutExpired:
                continue
            self.codes.append(code)
            if code == 0 or self._stopped.wait(_RESTART_S):
                return
            self.service = Service(*self._arguments)
