"""deploy/compose.yaml, started with its very file: a crisis goes through it while containers are killed."""

from __future__ import annotations

import json
import random
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote
from urllib.request import Request, urlopen

import pytest
import yaml
from broker import free_ports, missing_prerequisite
from containers.compose import ComposeProject, NewsContainer, build_stand_ins, wait_for
from containers.engine import ContainerEngine
from containers.tools import DEPLOY

from riskwire.demo import watchlist_path

pytestmark = [pytest.mark.needs_kafka, pytest.mark.timeout(1_800)]

STAND_INS = Path(__file__).parent / "stand_ins"
SERVICES = ("ingest", "infer", "alert", "sink", "notify", "serve")
KILLED = ("kafka", "postgres", *SERVICES)
"""What is killed, each once, in random order."""
STARTED = (*KILLED, "prometheus", "alertmanager", "news")
START_S = 600.0
CRISIS = "Norvane Motors files for bankruptcy after brake scandal"
CALM = [f"Castellmere Bank opens branch number {number} in Ebbing" for number in range(1, 21)]
SETTINGS = {
    "kafka": {"partitions": 4},
    "ingest": {"allow_private_hosts": ["news"], "user_agent": "riskwire-test"},
    "inference": {"threads": 1},
    "notify": {"webhooks": ["http://news:8000/hook"], "backoff_s": 1, "backoff_max_s": 2},
}
FEEDS = [{"id": "wire", "url": "http://news:8000/feed.xml", "every_s": 10}]


@pytest.fixture(scope="module")
def newsroom() -> NewsContainer:
    """The feed and the receiver."""
    return NewsContainer()


@pytest.fixture(scope="module")
def ports() -> dict[str, int]:
    """The ports of this machine on which Compose publishes, by what answers there."""
    return dict(zip(("page", "prometheus", "alertmanager"), free_ports(3), strict=True))


@pytest.fixture(scope="module")
def project(
    engine: ContainerEngine, image: str, base: str, scratch: Path, newsroom: NewsContainer, ports: dict[str, int]
) -> Iterator[ComposeProject]:
    """All services but Grafana, healthy; prints how long that took."""
    missing = missing_prerequisite()
    if missing is not None:
        pytest.skip(missing)
    for target, seconds in build_stand_ins(engine, STAND_INS, base).items():
        print(f"\nbuilt the stand-in of {target} in {seconds:.0f} s")
    (scratch / "riskwire.yaml").write_text(yaml.safe_dump(SETTINGS))
    (scratch / "feeds.yaml").write_text(yaml.safe_dump(FEEDS))
    (scratch / "addition.yaml").write_text(
        yaml.safe_dump(
            {
                "services": {
                    "news": {
                        "image": base,
                        "profiles": ["full"],
                        "command": ["python3", "/newsroom.py"],
                        "volumes": [f"{STAND_INS / 'newsroom.py'}:/newsroom.py:ro"],
                        "ports": [f"127.0.0.1:{newsroom.port}:8000"],
                    }
                },
                "configs": {"riskwire": {"file": str(scratch / "riskwire.yaml")}},
            }
        )
    )
    secrets = scratch / "secrets"
    subprocess.run([DEPLOY / "compose" / "make-secrets", secrets], check=True, capture_output=True)
    variables = {
        "RISKWIRE_IMAGE": image,
        "RISKWIRE_SECRETS": str(secrets),
        "RISKWIRE_FEEDS_FILE": str(scratch / "feeds.yaml"),
        "RISKWIRE_WATCHLIST_FILE": str(watchlist_path()),
        "RISKWIRE_LISTEN": f"127.0.0.1:{ports['page']}",
        "PROMETHEUS_PORT": str(ports["prometheus"]),
        "ALERTMANAGER_PORT": str(ports["alertmanager"]),
    }
    project = ComposeProject(engine, scratch / "addition.yaml", variables)
    project.down()
    started = time.monotonic()
    try:
        project.up(*STARTED)
        wait_until_healthy(project)
        print(f"\n{len(STARTED)} containers of compose.yaml: healthy after {time.monotonic() - started:.0f} s")
        yield project
        for name in STARTED:
            print(f"== {name}\n{project.log(name, 15)}")
    finally:
        project.down()


def wait_until_healthy(project: ComposeProject) -> float:
    """Waits until every container is healthy; returns how many seconds that took."""

    def states() -> str:
        unhealthy = [name for name in STARTED if not project.healthy(name)]
        return "\n".join(f"== {name}: {project.state(name)}\n{project.log(name)}" for name in unhealthy)

    return wait_for(lambda: all(map(project.healthy, STARTED)), START_S, states)


def ask_page(ports: dict[str, int], scratch: Path, path: str) -> object:
    """Returns the answer of the API of the page, as someone with the token gets it."""
    token = (scratch / "secrets" / "web_token").read_text()
    request = Request(f"http://127.0.0.1:{ports['page']}{path}", headers={"Authorization": f"Bearer {token}"})
    with urlopen(request, timeout=30) as response:
        return json.load(response)


def test_a_page_arrives_once_although_each_container_is_killed_while_it_is_under_way(
    project: ComposeProject, newsroom: NewsContainer, ports: dict[str, int], scratch: Path
) -> None:
    """The receiver refuses until each container was killed, so all kills come between publication and arrival."""
    seed = random.randrange(1_000_000)
    print(f"\nseed {seed}")
    order = random.Random(seed).sample(KILLED, len(KILLED))
    newsroom.answer_with(503)
    newsroom.publish([*CALM[:10], CRISIS, *CALM[10:]])
    started = time.monotonic()
    for name in order:
        restarts = project.state(name)["Restarts"]
        project.kill(name)
        print(f"{time.monotonic() - started:5.0f} s: killed {name}")
        wait_for(
            lambda name=name, restarts=restarts: project.state(name)["Restarts"] > restarts and project.healthy(name),
            START_S,
            lambda name=name: f"{name}: {project.state(name)}\n{project.log(name)}",
        )
    attempts = newsroom.notifications()
    assert all(attempt["status"] == 503 for attempt in attempts), "still under way"
    wait_until_healthy(project)
    newsroom.answer_with(200)

    def arrived() -> list[str]:
        return [notification["key"] for notification in newsroom.notifications() if notification["status"] == 200]

    wait_for(lambda: bool(arrived()), START_S, lambda: project.log("notify"))
    print(
        f"{time.monotonic() - started:5.0f} s: arrived, after {len(attempts)} refused attempts, all containers killed"
    )
    sql = "SELECT count(*), count(DISTINCT id) FROM articles"
    count = lambda: project.compose(  # noqa: E731
        *("exec", "-T", "postgres", "psql", "-U", "riskwire", "-h", "/var/run/postgresql", "-tAc", sql)
    )
    articles = len(CALM) + 1
    wait_for(lambda: count().strip() == f"{articles}|{articles}", START_S, lambda: f"{count()} {project.log('sink')}")
    notifications = newsroom.notifications()
    keys = {notification["key"] for notification in notifications}
    records = {json.dumps(notification["record"], sort_keys=True) for notification in notifications}
    assert len(arrived()) == len(keys) == len(records) == 1, notifications
    record = notifications[-1]["record"]
    assert (record["target"], record["tier"], record["status"]) == ("entity:norvane", "page", "firing")
    (row,) = ask_page(ports, scratch, "/api/v1/alerts")  # type: ignore[misc]
    assert row["id"] == record["id"], "the page shows it"


def test_prometheus_reads_the_metrics_of_every_service(project: ComposeProject, ports: dict[str, int]) -> None:
    """It finds the containers by their names, with the configuration of deploy/compose."""

    def up() -> set[str]:
        query = quote('up{job="riskwire"} == 1')
        with urlopen(f"http://127.0.0.1:{ports['prometheus']}/api/v1/query?query={query}", timeout=30) as response:
            return {series["metric"]["service"] for series in json.load(response)["data"]["result"]}

    wait_for(lambda: up() == set(SERVICES), START_S, lambda: f"{up()} {project.log('prometheus')}")
    with urlopen(f"http://127.0.0.1:{ports['alertmanager']}/-/ready", timeout=30) as response:
        assert response.status == 200
