"""Stripe's stand-in: `localstripe` in a folder of its own (it brings another HTTP server), behind a front.

localstripe forgets idempotency keys; the front keeps them as Stripe documents it: the first answer to a POST with a key
is given to every other one. It also loses answers when it is told to, and notes what it was asked.
"""

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from engine.embedded import free_port
from engine.settings import ROOT

LOCK = Path(__file__).parent / "localstripe.lock"
"""What is installed, with hashes (`make lock` writes it): localstripe brings another HTTP server."""

FOLDER = ROOT / "var" / f"localstripe-{sha256(LOCK.read_bytes()).hexdigest()[:12]}"
METHODS = ["GET", "POST"]


@dataclass
class Front:
    """What stands between the rail and localstripe."""

    behind: str
    url: str
    kept: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    loses_answers: int = 0

    async def pass_on(self, request: Request) -> Response:
        """Pass a request on, or give the answer that is kept."""
        key = request.headers.get("idempotency-key", "")
        self.asked.append((request.method, key))
        if key not in self.kept or request.method == "GET":
            headers = {
                name: request.headers[name] for name in ("authorization", "content-type") if name in request.headers
            }
            async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
                url = f"{self.behind}{request.url.path}?{request.url.query}"
                answer = await client.request(request.method, url, content=await request.body(), headers=headers)
            kept = (answer.status_code, answer.content)
            if request.method == "POST":
                self.kept[key] = kept
        else:
            kept = self.kept[key]
        if self.loses_answers:
            self.loses_answers -= 1
            await asyncio.sleep(4)  # longer than the rail waits
        return Response(kept[1], kept[0], media_type="application/json")

    def forget(self) -> None:
        """Be as if just started, and so is what is behind."""
        with _client() as client:
            client.delete(f"{self.behind}/_config/data").raise_for_status()
        self.kept.clear()
        self.asked.clear()
        self.loses_answers = 0


def installed() -> Path:
    """The folder with localstripe and what it needs, made once. Raises CalledProcessError where there is no index."""
    if not FOLDER.exists():
        draft = FOLDER.with_name(f"{FOLDER.name}-{os.getpid()}")
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        exactly = ["--target", str(draft), "--require-hashes", "--requirement", str(LOCK)]
        subprocess.run([*pip, *exactly], check=True, capture_output=True)
        with suppress(OSError):  # somebody else was quicker
            draft.rename(FOLDER)
    return FOLDER


@contextmanager
def stripe_stand_in(library: Path, folder: Path) -> Iterator[Front]:
    """Start both, and end them."""
    port, front_port = free_port(0), free_port(0)
    with open(folder / "localstripe.log", "ab") as log:
        command = [sys.executable, "-m", "localstripe", "--port", str(port), "--from-scratch"]
        environment = os.environ | {"PYTHONPATH": str(library)}
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
    front = Front(f"http://127.0.0.1:{port}", f"http://127.0.0.1:{front_port}")
    application = Starlette(routes=[Route("/{path:path}", front.pass_on, methods=METHODS)])
    server = uvicorn.Server(uvicorn.Config(application, port=front_port, log_level="error", loop="asyncio"))
    thread = threading.Thread(target=server.run)  # not the main thread: uvicorn takes no signals there
    thread.start()
    try:
        _wait_for(front)
        yield front
    finally:
        server.should_exit = True
        thread.join()
        process.kill()
        process.wait()


def _wait_for(front: Front) -> None:
    """Wait until both answer."""
    for url in (front.behind, front.url):
        with _client() as client:
            client.get(f"{url}/v1/payouts")
    front.asked.clear()


def _client() -> httpx.Client:
    transport = httpx.HTTPTransport(retries=8, verify=False)  # 0.5, 1, 2, ... seconds between them
    return httpx.Client(trust_env=False, transport=transport)
