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


def main() -> int:
    """Run the command; its exit code."""
    before = peak = used_mib()
    ended = threading.Event()

    def sample() -> None:
        nonlocal peak
        while not ended.wait(0.1):
            peak = max(peak, used_mib())

    sampler = threading.Thread(target=sample)
    sampler.start()
    started = time.monotonic()
    code = subprocess.run(sys.argv[1:], check=False).returncode
    seconds = time.monotonic() - started
    ended.set()
    sampler.join()
    print(f"{' '.join(sys.argv[1:])}: {seconds:.0f} s, at most {(peak - before) / 1024:.1f} GiB above the start")
    return code


if __name__ == "__main__":
    sys.exit(main())
