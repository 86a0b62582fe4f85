"""A PostgreSQL server for tests: on a free port of 127.0.0.1, with its files in a separate directory."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

_BIN = Path(os.environ.get("POSTGRES_BIN", "/usr/lib/postgresql/15/bin"))
_START_S = 60.0


def missing_postgresql() -> str | None:
    """Returns why no server can be started here, or None if one can."""
    if not (_BIN / "postgres").exists():
        return (
            f"PostgreSQL 15 is not installed: no {_BIN}/postgres (Debian: apt install postgresql-15; or POSTGRES_BIN)"
        )
    try:
        import psycopg  # noqa: F401
    except ImportError:
        return "psycopg is not installed (extra postgres)"
    return None


class PostgresServer:
    """A server with an empty cluster, without fsync. `running` starts and removes one.

    The cluster sorts text as people do (ICU, en-US), so that a test fails where the store relies on the order of bytes
    without asking for it.
    """

    def __init__(self, folder: Path, prefix: Sequence[str] = ()) -> None:
        """Makes a server that is not started yet.

        Args:
            folder: an empty folder that belongs to the user of the server.
            prefix: words before the command of the server.
        """
        self._prefix = prefix
        self.folder = folder
        self.port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._numbers = itertools.count(1)
        # PostgreSQL refuses to run as root.
        self._user = {"user": "postgres", "group": "postgres"} if os.geteuid() == 0 else {}

    @classmethod
    @contextlib.contextmanager
    def running(cls, prefix: Sequence[str] = ()) -> Iterator[PostgresServer]:
        """Yields a server that accepts connections; stops it at the end and removes its files."""
        folder = Path(tempfile.mkdtemp(prefix="riskwire-pg-", dir=_fast_folder()))
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres", "postgres")
        server = cls(folder, prefix)
        try:
            server.create()
            server.start()
            yield server
        finally:
            server.kill()
            shutil.rmtree(folder, ignore_errors=True)

    def create(self) -> None:
        """Creates the cluster."""
        locale = ["--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=en-US", "--encoding=UTF8"]
        command = [_BIN / "initdb", "-D", self.folder / "data", "-U", "riskwire", "-A", "trust", "--no-sync", *locale]
        subprocess.run(command, check=True, capture_output=True, cwd=self.folder, **self._user)

    def start(self) -> None:
        """Starts the server, and waits until it accepts connections."""
        options = {
            "port": self.port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": self.folder,
            "fsync": "off",
            "full_page_writes": "off",
            "shared_buffers": "32MB",
            "max_connections": 60,
        }
        arguments = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*self._prefix, _BIN / "postgres", "-D", self.folder / "data", *arguments],
                stdout=log,
                stderr=log,
                cwd=self.folder,
                **self._user,
            )
        deadline = time.monotonic() + _START_S
        while not self._accepts():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL does not start:\n{(self.folder / 'log').read_text()[-2_000:]}")
            time.sleep(0.05)

    def stop(self) -> None:
        """Stops the server at once and orderly, without waiting for its clients."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """Ends the server without a checkpoint, as a crash does. `start` recovers from the log."""
        self._end(signal.SIGQUIT)

    def suspend(self) -> None:
        """Stops all processes of the server in their tracks, as a frozen machine does."""
        self._signal_all(signal.SIGSTOP)

    def resume(self) -> None:
        """Lets a suspended server go on."""
        self._signal_all(signal.SIGCONT)

    def cut_connections(self) -> None:
        """Ends every connection of clients, as a failing network does."""
        other_clients = "pid <> pg_backend_pid() AND backend_type = 'client backend'"
        self.sql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {other_clients}")

    def new_store(self) -> str:
        """Creates an empty schema, and returns the URL for `store.url` under which it looks like a database.

        A schema is made in a millisecond, a database copies 7 MB.
        """
        name = f"store_{next(self._numbers)}"
        self.sql(f"CREATE SCHEMA {name}")
        return f"{self.url()}?options=-csearch_path%3D{name}"

    def new_database(self) -> str:
        """Creates an empty database, and returns its URL."""
        name = f"database_{next(self._numbers)}"
        self.sql(f"CREATE DATABASE {name}")
        return self.url(name)

    def url(self, database: str = "postgres") -> str:
        """Returns the URL of a database."""
        return f"postgresql://riskwire@127.0.0.1:{self.port}/{database}"

    def sql(self, statement: str, database: str = "postgres") -> list[tuple[object, ...]]:
        """Executes a statement outside a transaction, and returns its rows."""
        import psycopg

        with psycopg.connect(self.url(database), autocommit=True, connect_timeout=30) as connection:
            cursor = connection.execute(statement)  # type: ignore[call-overload]
            return cursor.fetchall() if cursor.description else []

    def cpu_s(self) -> float:
        """Returns the CPU time of the server and its children, also of those that have ended, in seconds."""
        assert self._process is not None
        ticks = 0
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                fields = stat.read_text().rpartition(")")[2].split()
                if int(stat.parent.name) == self._process.pid:
                    ticks += sum(map(int, fields[11:15]))
                elif int(fields[1]) == self._process.pid:
                    ticks += sum(map(int, fields[11:13]))
        return ticks / os.sysconf("SC_CLK_TCK")

    def _accepts(self) -> bool:
        import psycopg

        try:
            psycopg.connect(self.url(), connect_timeout=5).close()
        except psycopg.OperationalError:
            return False
        return True

    def _end(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        self.resume()
        self._process.send_signal(number)
        self._process.wait(60)
        self._process = None

    def _signal_all(self, number: signal.Signals) -> None:
        """Sends a signal to the server and its children."""
        assert self._process is not None
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        for pid in [self._process.pid, *map(int, children)]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)


def _fast_folder() -> str | None:
    """Returns a folder in memory with room for a cluster, or None for the usual folder of temporary files."""
    memory = Path("/dev/shm")
    return str(memory) if memory.is_dir() and shutil.disk_usage(memory).free > 2**30 else None


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
