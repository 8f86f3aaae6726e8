"""Run a command and print how long it took and how much memory the machine used at most meanwhile.

    python3 tools/peak_memory.py make demo

Memory is the machine's (total less available, sampled ten times a second) above what it was at the start: services that
the command leaves running count, the page cache does not. Linux only; nothing else should run meanwhile.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path


def used_mib() -> float:
    """Memory in use, in MiB."""
    lines = Path("/proc/meminfo").read_text("ascii").splitlines()
    values = {name: int(rest.split()[0]) for name, rest in (line.split(":", 1) for line in lines)}
    return (values["MemTotal"] - values["MemAvailable"]) / 1024


class Peak:
    """Time and memory of a block: `seconds`, and `mib`, the most in use above the start."""

    def __enter__(self) -> Peak:
        self._before = self._most = used_mib()
        self._ended = threading.Event()
        self._sampler = threading.Thread(target=self._sample)
        self._sampler.start()
        self._started = time.monotonic()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = time.monotonic() - self._started
        self._ended.set()
        self._sampler.join()
        self.mib = self._most - self._before

    def _sample(self) -> None:
        while not self._ended.wait(0.1):
            self._most = max(self._most, used_mib())


def main() -> int:
    """Run the command; its exit code."""
    with Peak() as peak:
        code = subprocess.run(sys.argv[1:], check=False).returncode
    print(f"{' '.join(sys.argv[1:])}: {peak.seconds:.0f} s, at most {peak.mib / 1024:.1f} GiB above the start")
    return code


if __name__ == "__main__":
    sys.exit(main())
