"""A real Apache Kafka for tests: one KRaft broker on free ports of 127.0.0.1, in a folder of its own."""

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
    """The folder whose `libs` hold Kafka: KAFKA_HOME, what `make kafka` made, or `kafka` in the shared folder."""
    shared = Path(os.environ.get("RISKWIRE_SHARED", ROOT.parent / "shared"))
    candidates = [os.environ.get("KAFKA_HOME"), ROOT / ".cache" / "kafka", shared / "kafka"]
    return next((Path(one) for one in candidates if one and any(Path(one).glob("libs/kafka_2.13-*.jar"))), None)


def how_to_get_it() -> str | None:
    """What is missing to start a broker, and where to get it; None when nothing is."""
    if kafka_home() is None:
        return "no Kafka: `make kafka` fetches it, or set KAFKA_HOME to an unpacked Apache release"
    if shutil.which("java") is None:
        return "no java: install Java 17 or newer"
    return None


def free_ports(count: int) -> list[int]:
    """Ports that are free now, and that the kernel gives to nobody by itself.

    Its own range is left alone: whoever connects is given a port of it, so that the port of a service that is about to
    listen, or of a broker that is away, may be taken by a client, or a client that tries again be connected to itself.
    """
    above = max(_first_port_of_the_kernel(), _LOWEST_PORT + 10_000)
    candidates = random.SystemRandom().sample(range(_LOWEST_PORT, above), 100)
    return list(itertools.islice(filter(_is_free, candidates), count))


def _is_free(port: int) -> bool:
    with socket.socket() as one:
        try:
            one.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _first_port_of_the_kernel() -> int:
    place = Path("/proc/sys/net/ipv4/ip_local_port_range")
    return int(place.read_text().split()[0]) if place.exists() else 32_768


@dataclass(frozen=True, slots=True)
class Hanging:
    """A transaction that is open in a partition from an offset on, although its coordinator has ended it."""

    topic: str
    partition: int
    start: int


class Broker:
    """One broker. `start` returns when it answers; it keeps port and data over `stop`, `kill` and `start`.

    Args:
        folder: data, configuration and log go there.
        properties: laid over the defaults of server.properties; `{port}` and `{folder}` are filled in.
        client: what a confluent-kafka client needs beside the address to be let in.
        environment: for Java (`KAFKA_OPTS` is not read: there are no scripts).
        java: further options of the virtual machine.
        before: put before the command that starts it (`setpriv …`, `nice …`).
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
        home = kafka_home()
        assert home is not None, how_to_get_it()
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
            # KAFKA-20734 (4.3.1): a coordinator forgets the markers of a transaction where a partition has no leader,
            # as all have while the only broker says that it is going; such a transaction then hangs for ever.
            "controlled.shutdown.enable": "false",
            # A broker that is started again is let in only when its former self has not been heard of for so long:
            # with the nine seconds of the default every restart takes three times as long.
            "broker.session.timeout.ms": "5000",
            "broker.heartbeat.interval.ms": "500",
            "log.cleaner.dedupe.buffer.size": "8000000",
        }
        filled = {
            key: value.format(port=self.port, controller=controller, folder=folder)
            for key, value in (properties or {}).items()
        }
        lines = [f"{key}={value}" for key, value in (defaults | filled).items()]
        self._properties.write_text("\n".join(lines) + "\n", encoding="utf-8")

    @contextmanager
    def running(self) -> Iterator[Broker]:
        """It, formatted and started; killed at the end, whatever it has been through."""
        self.format()
        self.start()
        try:
            yield self
        finally:
            self.kill()

    def format(self) -> None:
        """Make the data folder ready; once."""
        identity = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=").replace("-", "A")
        self._tool("kafka.tools.StorageTool", "format", "-t", identity, "-c", str(self._properties), *self._format_with)

    def start(self) -> None:
        """Start it and wait until it answers."""
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
            self._until_it_answers()
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """Stop it in good order, or kill it where it does not stop."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(timeout=STOP_S)
        except subprocess.TimeoutExpired:
            self.kill()
        self._process = None

    def kill(self) -> None:
        """kill -9."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait(timeout=STOP_S)
            self._process = None

    def ended(self, within_s: float) -> int:
        """The exit code of a broker that must end by itself."""
        assert self._process is not None
        return self._process.wait(timeout=within_s)

    def restart(self) -> None:
        """Stop and start."""
        self.stop()
        self.start()

    def _until_it_answers(self) -> None:
        assert self._process is not None
        deadline = time.monotonic() + READY_S
        admin = AdminClient({**self.client, "log_level": 0, "socket.connection.setup.timeout.ms": 1_000})
        while True:
            code = self._process.poll()
            assert code is None, f"the broker ended with {code}:\n{self.said()}"
            try:
                if admin.list_topics(timeout=1.0).brokers:
                    return
            except KafkaException:
                assert time.monotonic() < deadline, f"the broker does not answer:\n{self.said()}"

    def hanging_transactions(self) -> list[Hanging]:
        """What has been open in a partition for over a minute although its coordinator has ended it."""
        table = self._transactions("find-hanging", "--broker-id", "1", "--max-transaction-timeout", "1")
        rows = [line.split() for line in table.splitlines() if not line.startswith("Topic")]
        return [Hanging(row[0], int(row[1]), int(row[5])) for row in rows if len(row) > 5]

    def abort(self, one: Hanging) -> None:
        """Abort a transaction that hangs in a partition."""
        place = ("--topic", one.topic, "--partition", str(one.partition), "--start-offset", str(one.start))
        self._transactions("abort", *place)

    def _transactions(self, *words: str) -> str:
        return self._tool("org.apache.kafka.tools.TransactionsCommand", "--bootstrap-server", self.servers, *words)

    def said(self) -> str:
        """The end of its log."""
        return self.log.read_text(encoding="utf-8", errors="replace")[-4_000:] if self.log.exists() else ""

    def _tool(self, *words: str) -> str:
        done = subprocess.run(
            ["java", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", self._classpath, *words],
            capture_output=True,
            text=True,
            timeout=READY_S,
            check=False,
        )
        assert done.returncode == 0, f"{' '.join(words)}: {done.stdout}{done.stderr}"
        return done.stdout
