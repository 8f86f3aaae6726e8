"""The process that sends: an order in JSON on stdin, what became of it in JSON on stdout.

It says nothing else, and in its report there are no words but its own: what channels answer may repeat their URL.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
import threading
import time
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import apprise
from apprise.plugins.custom_json import NotifyJSON

_STATUS = re.compile(r"error=(\d{3})\b")
_CONNECTION = re.compile(r"connection|socket|smtp", re.IGNORECASE)
UNKNOWN = "its URL is of no channel that Apprise knows, or lacks a part"


def main() -> None:
    """Send to all channels at once; whatever is still waiting at the end is left behind."""
    report_to = os.dup(1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    logging.getLogger(apprise.logger.name).propagate = False
    logging.getLogger(apprise.logger.name).addHandler(logging.NullHandler())
    order = json.load(sys.stdin)
    report = send_all(order["urls"], order["message"], float(order["seconds"]))
    with os.fdopen(report_to, "w", encoding="utf-8") as out:
        json.dump(report, out)
    os._exit(0)  # a thread that waits for a server must not keep the process


def send_all(urls: list[str], message: dict[str, Any], seconds: float) -> list[dict[str, str]]:
    """For each channel its name, and why it did not take the message if it did not."""
    late = f"no answer within {seconds:.0f} s"
    report = [{"channel": f"{kind_of(url)} ({n + 1})", "why_not": late} for n, url in enumerate(urls)]
    finished: list[str | None] = [None] * len(urls)

    def work(n: int) -> None:
        finished[n] = _send(urls[n], message, seconds)

    threads = [threading.Thread(target=work, args=(n,), daemon=True) for n in range(len(urls))]
    for thread in threads:
        thread.start()
    end = time.monotonic() + seconds
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
    for entry, why_not in zip(report, list(finished), strict=True):
        entry["why_not"] = late if why_not is None else why_not
    return report


def kind_of(url: str) -> str:
    """The scheme of a URL, which is no secret as long as it is one that is known."""
    scheme = url.partition("://")[0].lower()
    known = scheme in ("http", "https") or scheme in apprise.apprise.N_MGR
    return scheme if known else "unknown"


def channel_of(url: str, seconds: float) -> apprise.NotifyBase | None:
    """The channel of a URL: one of Apprise's own, or a webhook that gets JSON. None for what is neither."""
    asset = apprise.AppriseAsset(
        app_id="content-signals",
        app_desc="Alerts of content-signals",
        service_timeout=seconds,
        storage_mode="memory",
        secure_logging=True,
        interpret_emojis=False,
    )
    found = apprise.Apprise.instantiate(url, asset=asset)
    if found is None and url.lower().startswith(("http://", "https://")):
        found = apprise.Apprise.instantiate(_as_webhook(url), asset=asset)
    return found


def _as_webhook(url: str) -> str:
    """A plain URL as Apprise writes a JSON webhook's: a parameter that is the server's has a dash before its name."""
    parts = urlsplit(url)
    scheme = "jsons" if parts.scheme.lower() == "https" else "json"
    query = urlencode([(f"-{name}", value) for name, value in parse_qsl(parts.query, keep_blank_values=True)])
    return f"{scheme}://{parts.netloc}{parts.path}" + (f"?{query}" if query else "")


def _send(url: str, message: dict[str, Any], seconds: float) -> str:
    """Why the channel did not take the message, in our own words; empty when it did."""
    try:
        channel = channel_of(url, seconds)
        if channel is None:
            return UNKNOWN
        if isinstance(channel, NotifyJSON):
            # What the URL maps (`?:message=text`) stays as its owner wants it.
            channel.payload_extras = {**message["fields"], **channel.payload_extras}
        service = apprise.Apprise(asset=channel.asset)
        service.add(channel)
        result = service.notify(
            title=message["title"],
            body=message["body"],
            notify_type=apprise.NotifyType(message["tone"]),
            body_format=apprise.NotifyFormat.TEXT,
        )
        return "" if result else _reason(result, seconds)
    except Exception as error:  # its text may hold the URL
        return f"{type(error).__name__} while sending"


def _reason(result: Any, seconds: float) -> str:
    if result.status == apprise.AppriseResultStatus.TIMEOUT:
        return f"no answer within {seconds:.0f} s"
    said = " ".join(entry.message for entry in result.logs())
    status = _STATUS.search(said)
    if status:
        return f"it answered HTTP {status[1]}"
    return "no connection, or it was broken off" if _CONNECTION.search(said) else "it did not take the message"


if __name__ == "__main__":
    main()
