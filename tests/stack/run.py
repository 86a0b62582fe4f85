"""All of riskwire on this machine: `make stack`.

Starts Kafka, PostgreSQL, Prometheus, Alertmanager and every service of riskwire, replays an hour of news with a crisis,
prints where to look, and stops everything on Ctrl-C.
"""

from __future__ import annotations

import signal
import sys
import tempfile
import threading
from datetime import UTC, datetime
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main() -> int:
    """Runs the stack until Ctrl-C. Returns the exit code: 2 if a program is missing."""
    sys.path[:0] = [str(HERE), str(HERE.parent / "support")]
    from one_machine.hops import hops, live_news
    from one_machine.news import CRISIS_NAME, write_archives
    from one_machine.servers import missing_programs, running_stack

    missing = missing_programs()
    if missing is not None:
        print(f"make stack: {missing}", file=sys.stderr)
        return 2
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: _stop(stopped))
    with tempfile.TemporaryDirectory(prefix="riskwire-stack-") as folder:
        print(f"Starting everything; logs are in {folder}")
        try:
            with running_stack(Path(folder), print) as stack:
                archives = write_archives(Path(folder), datetime.now(UTC))
                print(f"An hour of news is replayed, in which {CRISIS_NAME} goes through a crisis.")
                for hop in [*hops(stack, archives)[:9], live_news(stack)]:
                    hop.wait()
                    print(f"  {hop.name}")
                print(f"Look at the page: {stack.page}  Ctrl-C ends everything.")
                stopped.wait()
        except KeyboardInterrupt:
            pass
        print("Everything has stopped.")
    return 0


def _stop(stopped: threading.Event) -> None:
    """Ends the wait for Ctrl-C, or interrupts what comes before it."""
    if stopped.is_set():
        return
    stopped.set()
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
