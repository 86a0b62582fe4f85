"""Runs the container of a pod as a local process: its very command, environment, files and probes."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from broker import free_ports
from cli import RISKWIRE, environment

from containers.manifests import Manifest, named

_IMAGE_ENV = re.compile(r"^ENV (.*?[^\\])$", re.M | re.S)


def image_environment(dockerfile: Path) -> dict[str, str]:
    """Returns the settings of riskwire that the image has, as its Dockerfile sets them in the stage `runtime`."""
    runtime = dockerfile.read_text(encoding="utf-8").partition(" AS runtime")[2].partition("\nFROM ")[0]
    text = " ".join(match.replace("\\\n", " ") for match in _IMAGE_ENV.findall(runtime))
    return dict(re.findall(r"(RISKWIRE_\w+)=(\S+)", text))


class LocalContainer:
    """The container of a pod, as a process on this machine.

    Its volumes are folders of a test: those of config maps and secrets have the files of the manifests. Paths of the
    image are replaced by these folders, and its ports by free ones, in environment and probes. All else is as in the
    manifest: the command, the variables and where their values come from, the probes.
    """

    def __init__(
        self,
        resources: list[Manifest],
        template: Manifest,
        folder: Path,
        secret: Mapping[str, str],
        image: Mapping[str, str],
        **overrides: str,
    ) -> None:
        """Prepares folders and environment. `start` starts the process.

        Args:
            resources: all manifests of the overlay.
            template: the template of the pod.
            secret: the content of the Secret `riskwire`.
            image: the settings that the image has.
            overrides: variables that replace those of the manifest: addresses of brokers and databases.
        """
        (self._container,) = template["spec"]["containers"]
        self.name = self._container["name"]
        self._folder = folder
        self._secret = secret
        self._config_maps = {name: value["data"] for name, value in named(resources, "ConfigMap").items()}
        self._mounts = self._make_volumes(template["spec"])
        self._ports = dict(zip(("page", "probes"), free_ports(2), strict=True))
        values = dict(image)
        for source in self._container.get("envFrom", ()):
            values |= self._config_maps[source["configMapRef"]["name"]]
        values |= {variable["name"]: self._value(variable) for variable in self._container.get("env", ())}
        values |= {"RISKWIRE_WEB__PORT": str(self._ports["page"])}
        values |= {"RISKWIRE_WEB__PROBE_PORT": str(self._ports["probes"])} | overrides
        self.environment = environment(**{name: self._local(value) for name, value in values.items()})
        self.log = folder / "log"
        self.process: subprocess.Popen[bytes]

    def start(self) -> None:
        """Starts the process in the working directory of the image, `/etc/riskwire`."""
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(
                [RISKWIRE, *self._container["args"]],
                cwd=self._local("/etc/riskwire"),
                env=self.environment,
                stdout=out,
                stderr=out,
            )

    def probe(self, kind: str) -> int:
        """Returns the status with which a probe is answered; 0 if it is not.

        Args:
            kind: `startupProbe`, `readinessProbe` or `livenessProbe`.
        """
        request = self._container[kind]["httpGet"]
        url = f"http://127.0.0.1:{self._ports[request['port']]}{request['path']}"
        try:
            with urlopen(url, timeout=self._container[kind]["timeoutSeconds"]) as answer:
                return int(answer.status)
        except HTTPError as error:
            return error.code
        except (URLError, OSError):
            return 0

    def wait_for(self, kind: str, timeout_s: float) -> None:
        """Waits until a probe succeeds, as the kubelet judges it."""
        deadline = time.monotonic() + timeout_s
        while not 200 <= self.probe(kind) < 400:
            assert self.process.poll() is None, f"{self.name} exited with {self.process.poll()}: {self.log_tail()}"
            assert time.monotonic() < deadline, f"{self.name}: no {kind} within {timeout_s} s: {self.log_tail()}"
            time.sleep(0.2)

    def log_tail(self) -> str:
        """Returns the end of the log."""
        return self.log.read_text(encoding="utf-8", errors="replace")[-4_000:]

    def _make_volumes(self, pod: Manifest) -> dict[str, Path]:
        """Makes the folder of each volume, with its files; returns the folders by where they are mounted."""
        folders: dict[str, Path] = {}
        for volume in pod["volumes"]:
            folder = folders[volume["name"]] = self._folder / volume["name"]
            folder.mkdir(parents=True)
            files: Mapping[str, str] = {}
            if "configMap" in volume:
                files = self._config_maps[volume["configMap"]["name"]]
            elif "secret" in volume:
                assert volume["secret"]["secretName"] == "riskwire"
                files = {
                    secret_file["path"]: self._secret[secret_file["key"]] for secret_file in volume["secret"]["items"]
                }
            for name, text in files.items():
                (folder / name).write_text(text, encoding="utf-8")
                (folder / name).chmod(0o440)
        mounts = {mount["mountPath"]: mount["name"] for mount in self._container["volumeMounts"]}
        return {path: folders.get(name) or self._claimed(name) for path, name in mounts.items()}

    def _claimed(self, name: str) -> Path:
        """Returns the folder of a claimed volume."""
        folder = self._folder / name
        folder.mkdir()
        return folder

    def _value(self, variable: Manifest) -> str:
        """Returns the value of a variable; of a secret, where the manifest refers to it."""
        if "value" in variable:
            return str(variable["value"])
        reference = variable["valueFrom"]["secretKeyRef"]
        assert reference["name"] == "riskwire"
        return self._secret[reference["key"]]

    def _local(self, text: str) -> str:
        """Returns a text with each path of a volume replaced by the folder of that volume."""
        for path, folder in sorted(self._mounts.items(), reverse=True):
            if path != "/tmp":
                text = text.replace(path, str(folder))
        return text
