"""Messages to channels. A channel's URL is a secret: it never leaves this room but for the process that sends.

Sending is a process of its own (`deliver`): it can be ended when a server keeps it waiting, whatever it waits in, and
what the channels' library logs, URLs with passwords among it, reaches no log of the job.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from pydantic import SecretStr

from content_signals.alerts.message import Message

SECONDS = 20.0  # for all channels, which are served at the same time
_GRACE_SECONDS = 10.0  # to start Python and the library, and to report


@dataclass(frozen=True)
class Delivery:
    """What became of a message on one channel.

    Attributes:
        channel: kind and place in `alert_urls`, as in `mailto (1)`; nothing else of its URL.
        why_not: empty when the channel took it.
    """

    channel: str
    why_not: str = ""


Deliver = Callable[[Message], list[Delivery]]


def to_channels(urls: Sequence[SecretStr], seconds: float = SECONDS) -> Deliver:
    """A way to send a message to all of some channels, within about `seconds`. It raises nothing."""

    def deliver(message: Message) -> list[Delivery]:
        if not urls:
            return []
        order = {"urls": [url.get_secret_value() for url in urls], "seconds": seconds, "message": asdict(message)}
        return _run(json.dumps(order), len(urls), seconds)

    return deliver


def _run(order: str, channels: int, seconds: float) -> list[Delivery]:
    """The order goes through a pipe: arguments and variables of a process can be read by others."""
    # Where the package was found here it is found there, and nothing else from the working folder.
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "content_signals.alerts.deliver"],
            input=order,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
            timeout=seconds + _GRACE_SECONDS,
            check=False,
        )
        return [Delivery(**entry) for entry in json.loads(done.stdout)]
    except subprocess.TimeoutExpired:
        why = f"ended after {seconds + _GRACE_SECONDS:.0f} s without an answer"
    except OSError as error:
        why = f"could not be started: {type(error).__name__}"
    except (ValueError, TypeError):
        why = f"ended with exit code {done.returncode}"
    return [Delivery(f"channel ({n + 1})", f"the process that sends {why}") for n in range(channels)]
