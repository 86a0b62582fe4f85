"""Runs a real Apache Kafka for tests: one KRaft broker on free ports of 127.0.0.1, with its own folder."""

from __future__ import annotations

import base64
import itertools
import os
import random
import shutil
import signal
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

READY_S = 180.0
STOP_S = 20.0
_LOWEST_PORT = 10_000
ROOT = Path(__file__).parents[2]


def kafka_home() -> Path | None:
    """Returns the first folder whose `libs` hold Kafka, or None.

    The candidates are KAFKA_HOME, the result of `make kafka`, and `kafka` in the shared folder.
    """
    shared = Path(os.environ.get("RISKWIRE_SHARED", ROOT.parent / "shared"))
    candidates = [os.environ.get("KAFKA_HOME"), ROOT / ".cache" / "kafka", shared / "kafka"]
    folders = (Path(candidate) for candidate in candidates if candidate)
    return next((folder for folder in folders if any(folder.glob("libs/kafka_2.13-*.jar"))), None)


def missing_prerequisite() -> str | None:
    """Returns what is missing to start a broker and how to get it, or None."""
    if kafka_home() is None:
        return "no Kafka: `make kafka` fetches it, or set KAFKA_HOME to an unpacked Apache release"
    if shutil.which("java") is None:
        return "no java: install Java 17 or newer"
    return None


def free_ports(count: int) -> list[int]:
    """Returns `count` different TCP ports that are free now and outside the ephemeral range of the kernel.

    The kernel gives ports of its range to clients. So a client could take the port of a service that is about to listen
    or of a stopped broker, and a client that retries could even connect to itself.
    """
    end = max(_first_ephemeral_port(), _LOWEST_PORT + 10_000)
    candidates = random.SystemRandom().sample(range(_LOWEST_PORT, end), 100)
    return list(itertools.islice(filter(_is_free, candidates), count))


def _is_free(port: int) -> bool:
    with socket.socket() as listener:
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _first_ephemeral_port() -> int:
    setting = Path("/proc/sys/net/ipv4/ip_local_port_range")
    return int(setting.read_text().split()[0]) if setting.exists() else 32_768


@dataclass(frozen=True, slots=True)
class HangingTransaction:
    """A transaction that is still open in a partition from `start` on, although its coordinator has ended it."""

    topic: str
    partition: int
    start: int


class Broker:
    """One broker. `start` returns when it answers. The broker keeps its port and data over `stop`, `kill` and `start`.

    Attributes:
        client: the settings of a confluent-kafka client of this broker.
        log: the file with the output of the broker.
    """

    def __init__(
        self,
        folder: Path,
        properties: Mapping[str, str] | None = None,
        client: Mapping[str, str] | None = None,
        java: tuple[str, ...] = (),
        format_with: tuple[str, ...] = (),
        before: tuple[str, ...] = (),
    ) -> None:
        """Chooses two free ports and writes server.properties; neither formats the data folder nor starts the broker.

        Args:
            folder: for data, configuration and log; created if needed.
            properties: override the defaults of server.properties; `{port}`, `{controller}` and `{folder}` are
                replaced.
            client: what a confluent-kafka client needs besides the address.
            java: further options of the virtual machine.
            format_with: further options of the command that formats the data folder.
            before: a prefix of the command that starts the broker (`setpriv …`, `nice …`).
        """
        home = kafka_home()
        assert home is not None, missing_prerequisite()
        self.folder = folder
        self.port, controller = free_ports(2)
        self.servers = f"127.0.0.1:{self.port}"
        self.url = f"kafka://{self.servers}"
        self.client = {"bootstrap.servers": self.servers, **(client or {})}
        self.log = folder / "broker.log"
        self._java = java
        self._format_with = format_with
        self._before = before
        self._classpath = str(home / "libs" / "*")
        self._process: subprocess.Popen[bytes] | None = None
        self._properties = folder / "server.properties"
        folder.mkdir(parents=True, exist_ok=True)
        defaults = {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.voters": f"1@127.0.0.1:{controller}",
            "listeners": f"PLAINTEXT://127.0.0.1:{self.port},CONTROLLER://127.0.0.1:{controller}",
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{self.port}",
            "controller.listener.names": "CONTROLLER",
            "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
            "log.dirs": str(folder / "data"),
            "auto.create.topics.enable": "false",
            "offsets.topic.replication.factor": "1",
            "offsets.topic.num.partitions": "4",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "transaction.state.log.num.partitions": "4",
            "share.coordinator.state.topic.replication.factor": "1",
            "share.coordinator.state.topic.min.isr": "1",
            "group.initial.rebalance.delay.ms": "0",
            "group.min.session.timeout.ms": "1000",
            # KAFKA-20734 (4.3.1): a coordinator loses the markers of a transaction for partitions without a leader. No
            # partition has one during a controlled shutdown of the only broker. Such a transaction hangs for ever.
            "controlled.shutdown.enable": "false",
            # A restarted broker can register only after the session of its previous process has expired. The default
            # of nine seconds makes every restart take three times as long.
            "broker.session.timeout.ms": "5000",
            "broker.heartbeat.interval.ms": "500",
            "log.cleaner.dedupe.buffer.size": "8000000",
        }
        overrides = {
            key: value.format(port=self.port, controller=controller, folder=folder)
            for key, value in (properties or {}).items()
        }
        lines = [f"{key}={value}" for key, value in (defaults | overrides).items()]
        self._properties.write_text("\n".join(lines) + "\n", encoding="utf-8")

    @contextmanager
    def running(self) -> Iterator[Broker]:
        """Formats and starts the broker; kills it at the end."""
        self.format()
        self.start()
        try:
            yield self
        finally:
            self.kill()

    def format(self) -> None:
        """Formats the data folder with a random cluster id, which must be done once, before the first start.

        The id contains no "-", so that the tool cannot take it for an option.
        """
        identity = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=").replace("-", "A")
        self._tool("kafka.tools.StorageTool", "format", "-t", identity, "-c", str(self._properties), *self._format_with)

    def start(self) -> None:
        """Starts the broker and waits until it answers. Its output is appended to `log`.

        Raises:
            AssertionError: it exited or did not answer in time; it was killed.
        """
        config = self.folder / "log4j2.properties"
        config.write_text(
            "rootLogger.level=warn\nrootLogger.appenderRef.out.ref=out\nappender.out.type=Console\n"
            "appender.out.name=out\nappender.out.layout.type=PatternLayout\n"
            "appender.out.layout.pattern=%d %p %c %m%n\n",
            encoding="utf-8",
        )
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *self._before,
                    "java",
                    "-Xmx512m",
                    "-XX:+UseSerialGC",
                    "-XX:TieredStopAtLevel=1",
                    f"-Dlog4j2.configurationFile=file:{config}",
                    *self._java,
                    "-cp",
                    self._classpath,
                    "kafka.Kafka",
                    str(self._properties),
                ],
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            self._wait_until_it_answers()
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """Stops the broker with SIGTERM and waits for its end; kills it after `STOP_S` seconds. May be repeated."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(timeout=STOP_S)
        except subprocess.TimeoutExpired:
            self.kill()
        self._process = None

    def kill(self) -> None:
        """Kills the broker with SIGKILL and waits for its end; does nothing if it was not started."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait(timeout=STOP_S)
            self._process = None

    def wait_for_exit(self, timeout_s: float) -> int:
        """Returns the exit code of a broker that exits by itself."""
        assert self._process is not None
        return self._process.wait(timeout=timeout_s)

    def _wait_until_it_answers(self) -> None:
        """Waits until the broker lists itself; fails if its process exits, or does not answer in `READY_S`."""
        assert self._process is not None
        deadline = time.monotonic() + READY_S
        admin = AdminClient({**self.client, "log_level": 0, "socket.connection.setup.timeout.ms": 1_000})
        while True:
            code = self._process.poll()
            assert code is None, f"the broker exited with {code}:\n{self.log_tail()}"
            try:
                if admin.list_topics(timeout=1.0).brokers:
                    return
            except KafkaException:
                assert time.monotonic() < deadline, f"the broker does not answer:\n{self.log_tail()}"

    def hanging_transactions(self) -> list[HangingTransaction]:
        """Returns the transactions that are open in a partition although their coordinator does not know them as open.

        Only those count whose last record is more than a minute old. Kafka's own tool finds them.
        """
        table = self._transactions("find-hanging", "--broker-id", "1", "--max-transaction-timeout", "1")
        rows = [line.split() for line in table.splitlines() if not line.startswith("Topic")]
        return [HangingTransaction(row[0], int(row[1]), int(row[5])) for row in rows if len(row) > 5]

    def abort(self, hanging: HangingTransaction) -> None:
        """Aborts a hanging transaction in its partition."""
        partition = ("--topic", hanging.topic, "--partition", str(hanging.partition))
        self._transactions("abort", *partition, "--start-offset", str(hanging.start))

    def _transactions(self, *words: str) -> str:
        return self._tool("org.apache.kafka.tools.TransactionsCommand", "--bootstrap-server", self.servers, *words)

    def log_tail(self) -> str:
        """Returns the end of the log."""
        return self.log.read_text(encoding="utf-8", errors="replace")[-4_000:] if self.log.exists() else ""

    def _tool(self, *words: str) -> str:
        """Runs a command-line class of Kafka with its arguments, and returns its standard output.

        Raises:
            AssertionError: it exited with an error.
        """
        completed = subprocess.run(
            ["java", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", self._classpath, *words],
            capture_output=True,
            text=True,
            timeout=READY_S,
            check=False,
        )
        assert completed.returncode == 0, f"{' '.join(words)}: {completed.stdout}{completed.stderr}"
        return completed.stdout
