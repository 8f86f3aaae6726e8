"""Run a command and print how long it took and how much memory the machine used at most meanwhile.

    python3 tools/peak_memory.py make demo

Memory is the machine's (total less available, sampled ten times a second) above what it was at the start: services that
the command leaves running count, the page cache does not. Linux only; nothing else should run meanwhile.
"""

from __future__ import annotations

import shutil
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
    """Time, memory and disk of a block: `seconds`, `mib` and `disk_mib`, the most in use above the start.

    Args:
        disk: a folder on the disk to watch, which Spark's temporary files share.
    """

    def __init__(self, disk: Path = Path()) -> None:
        self._disk = disk

    def __enter__(self) -> Peak:
        self._before = self._most = used_mib()
        self._disk_before = self._disk_most = shutil.disk_usage(self._disk).used
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
        self.disk_mib = (self._disk_most - self._disk_before) / 2**20

    def _sample(self) -> None:
        while not self._ended.wait(0.1):
            self._most = max(self._most, used_mib())
            self._disk_most = max(self._disk_most, shutil.disk_usage(self._disk).used)


def main() -> int:
    """Run the command; its exit code."""
    with Peak() as peak:
        code = subprocess.run(sys.argv[1:], check=False).returncode
    print(f"{' '.join(sys.argv[1:])}: {peak.seconds:.0f} s, at most {peak.mib / 1024:.1f} GiB above the start")
    return code


if __name__ == "__main__":
    sys.exit(main())
