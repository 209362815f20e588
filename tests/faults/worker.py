"""A process that runs one command line after the other in itself, and tells how each ended.

It reads `{"args": [..], "folder": ".."}` from standard input, one line each, and answers on a pipe.
The parent sets the time limit: it ends a process that does not answer.
"""

import json
import os
import resource
import selectors
import subprocess
import sys
import tempfile
import traceback
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from faults.processes import WARNING, Finding

MEMORY = 10 << 30
"""Bytes that a process may ask for. Without a limit a hostile size would take all of the machine."""
CASES = 40
"""Cases after which a process is replaced: each leaves its compiled programs behind."""


def ended(args: Sequence[str]) -> dict[str, Any]:
    """Run a command line here. Errors that leave `main` are told, not raised."""
    from targetprop.cli import main

    try:
        return {"status": main(list(args))}
    except SystemExit as stop:
        return {"status": stop.code or 0}
    except BaseException as error:  # noqa: BLE001 (whatever would be a traceback)
        return {"status": 1, "error": told(error)}


def told(error: BaseException) -> str:
    """An error in one line, with the place where it was raised in the package."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "/targetprop/" in frame.filename]
    place = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "outside"
    said = (str(error).strip() or "no message").splitlines()[0]
    return f"{type(error).__name__} from {place}: {said[:160]}"


def serve(answers: int) -> None:
    """Answer until the input ends."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    warnings.simplefilter("always", RuntimeWarning)
    warnings.simplefilter("always", UserWarning)
    for line in sys.stdin:
        asked = json.loads(line)
        os.chdir(asked["folder"])
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            kept = os.dup(1), os.dup(2)
            sys.stdout.flush()
            os.dup2(out.fileno(), 1)
            os.dup2(err.fileno(), 2)
            answer = ended(asked["args"])
            try:
                sys.stdout.flush()
                sys.stderr.flush()
            finally:
                os.dup2(kept[0], 1)
                os.dup2(kept[1], 2)
                os.close(kept[0])
                os.close(kept[1])
            for name, file in (("out", out), ("err", err)):
                file.seek(0)
                answer[name] = file.read().decode(errors="replace")[-20000:]
        os.write(answers, json.dumps(answer).encode() + b"\n")


def findings(answer: dict[str, Any]) -> list[Finding]:
    """What is wrong with the end of a command line."""
    status, said = answer["status"], [line for line in answer["err"].splitlines() if line.strip()]
    if status is None:
        return [("hang", "no end in time")]
    if "error" in answer:
        return [("traceback", answer["error"])]
    if status < 0:
        return [("crash", f"signal {-status}")]
    warned = [line.strip() for line in said if WARNING.search(line)]
    found: list[Finding] = [("warning", warned[0])] if warned else []
    if status not in (0, 1, 2):
        found.append(("status", f"it ended with status {status}"))
    if status == 2 and (len(said) != 1 or not said[0].startswith("targetprop: ")):
        found.append(("message", f"{len(said)} lines on standard error: {said[-1] if said else ''}"))
    if status == 1 and not (said or answer["out"].strip()):
        found.append(("message", "status 1, and nothing is said"))
    return found


class Worker:
    """The other side: gives command lines to a process, and replaces it when it hangs or crashes.

    **Arguments:**

    - `env`: its environment.
    - `limit`: the seconds for a case.
    """

    def __init__(self, env: dict[str, str], limit: float):
        self.env, self.limit, self.cases = env, limit, 0
        self.process: subprocess.Popen | None = None
        self.answers = -1

    def ask(self, args: Sequence[str], folder: Path) -> dict[str, Any]:
        """How a command line ends: `status`, `out`, `err`, and `error` for an exception. The status
        is `None` if it hangs, and negative if the process crashes.
        """
        process = self._ready()
        assert process.stdin is not None
        process.stdin.write(json.dumps({"args": list(args), "folder": str(folder)}) + "\n")
        process.stdin.flush()
        self.cases += 1
        text = self._answer()
        if text.endswith(b"\n"):
            return json.loads(text)
        hung = process.poll() is None and not self.ended
        self.close()
        return {"status": None if hung else process.returncode or -1, "out": "", "err": ""}

    def _answer(self) -> bytes:
        text, self.ended = b"", False
        with selectors.DefaultSelector() as ready:
            ready.register(self.answers, selectors.EVENT_READ)
            while not text.endswith(b"\n") and ready.select(self.limit):
                more = os.read(self.answers, 1 << 16)
                if not more:
                    self.ended = True
                    break
                text += more
        return text

    def _ready(self) -> subprocess.Popen:
        if self.process is None or self.cases >= CASES:
            self.close()
            self.answers, theirs = os.pipe()
            command = [sys.executable, "-P", __file__, str(theirs)]
            pipes = {"stdin": subprocess.PIPE, "stderr": subprocess.DEVNULL, "pass_fds": (theirs,)}
            self.process = subprocess.Popen(command, env=self.env, text=True, **pipes)
            os.close(theirs)
        return self.process

    def close(self) -> None:
        """End the process."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            os.close(self.answers)
        self.process, self.cases = None, 0


if __name__ == "__main__":
    serve(int(sys.argv[1]))
