"""Writes the dashboards as JSON into `dashboards/`, where Grafana's provisioning finds them.

python deploy/grafana/build.py
"""

from riskwire_dashboards.catalogue import FOLDER, dashboards, encoded


def main() -> None:
    """Writes every dashboard."""
    FOLDER.mkdir(exist_ok=True)
    for name, dashboard in dashboards().items():
        (FOLDER / name).write_text(encoded(dashboard), encoding="utf-8")


if __name__ == "__main__":
    main()
