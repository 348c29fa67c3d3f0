"""A browser without a window, told what to do through a pipe: no package is needed for it.

Speaks the Chrome DevTools Protocol, https://chromedevtools.github.io/devtools-protocol, messages of
JSON that end in a zero byte. Not for: what is looked at (``drawings.py``).
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any


class Browser:
    """One page of Chromium, for the length of a ``with`` block.

    Parameters
    ----------
    profile
        A folder for what a browser keeps.
    """

    def __init__(self, profile: Path) -> None:
        program = shutil.which("chromium") or shutil.which("google-chrome")
        if program is None:
            raise RuntimeError("Netron draws in a browser: install Chromium or Chrome")
        self.command = [
            program, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
            f"--user-data-dir={profile}", "--remote-debugging-pipe", "about:blank",
        ]  # fmt: skip
        self.number = 0
        self.session = ""

    def __enter__(self) -> Browser:
        theirs_in, ours_out = os.pipe()
        ours_in, theirs_out = os.pipe()
        # It reads from descriptor 3 and writes to descriptor 4.
        shell = f'exec "$@" 3<&{theirs_in} 4>&{theirs_out}'
        self.process = subprocess.Popen(
            ["/bin/bash", "-c", shell, "browser", *self.command],
            pass_fds=(theirs_in, theirs_out),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs_in), os.close(theirs_out)
        self.reads, self.writes = os.fdopen(ours_in, "rb"), os.fdopen(ours_out, "wb")
        targets = self("Target.getTargets")["targetInfos"]
        page = next(t["targetId"] for t in targets if t["type"] == "page")
        attached = self("Target.attachToTarget", targetId=page, flatten=True)
        self.session = attached["sessionId"]
        return self

    def __exit__(self, *_: object) -> None:
        self.session = ""
        self("Browser.close")
        self.process.wait(30)
        self.reads.close(), self.writes.close()

    def __call__(self, method: str, **params: Any) -> Any:
        """Call a method of the protocol, and wait for its result."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        self.writes.write(json.dumps(message).encode() + b"\0")
        self.writes.flush()
        while (answer := self._next()).get("id") != self.number:
            pass  # an event
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']['message']}")
        return answer["result"]

    def _next(self) -> dict[str, Any]:
        message = bytearray()
        while (byte := self.reads.read(1)) != b"\0":
            if not byte:
                raise RuntimeError("the browser has gone")
            message += byte
        return json.loads(message)

    def value(self, expression: str) -> Any:
        """Give the value of an expression of JavaScript."""
        result = self("Runtime.evaluate", expression=expression, returnByValue=True)
        return result["result"].get("value")

    def picture(self) -> bytes:
        """Give what the window shows, as a PNG."""
        return base64.b64decode(self("Page.captureScreenshot", format="png")["data"])
