"""A faithful small web server on the loopback interface, which can be told to fail in the ways servers fail."""

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Server(ThreadingHTTPServer):
    """Serves `files` with ranges and ETags, and those below `datasets/` or a model's name as a hub.

    Attributes:
        files: path -> content, or a file on disk that holds it.
        faults: what goes wrong with the next requests for a file, in order: a status, (status, headers),
            "cut" (half of what is announced comes), ("lie", n) (n bytes more are announced than come),
            "short" (half of the range that is asked for, honestly announced),
            "no-range" (the whole file whatever is asked), or None for nothing.
        api_faults: statuses of the next requests to the hub's API, in order.
        answers: path -> the status that every request for it is answered with, or (status, headers).
        commit: the one that `main` is at.
        requests: (method, path, Range header, Authorization header) of all requests so far.
        sent: bytes of file contents sent so far.
        token: the only token let in, if any.
    """

    daemon_threads = True

    def handle_error(self, *_):
        """Clients may hang up."""

    def __init__(self, port: int = 0):
        super().__init__(("127.0.0.1", port), Handler)
        self.files: dict[str, bytes | Path] = {}
        self.faults: list = []
        self.api_faults: list[int] = []
        self.answers: dict[str, int | tuple] = {}
        self.commit = COMMIT
        self.requests: list[tuple] = []
        self.sent = 0
        self.token: str | None = None
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.answer(body=False)

    def do_GET(self):
        self.answer(body=True)

    def do_POST(self):
        self.rest = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.answer(body=True)

    def answer(self, body: bool):
        server, url = self.server, urlsplit(self.path)
        path = unquote(url.path).lstrip("/")
        bearer = self.headers.get("Authorization")
        server.requests.append((self.command, path, self.headers.get("Range"), bearer))
        if server.token and bearer != f"Bearer {server.token}":
            return self.reply(401, {"X-Error-Code": "GatedRepo", "X-Error-Message": "sign in"})
        if path.startswith("api/"):
            if server.api_faults:
                return self.reply(server.api_faults.pop(0))
            return self.answer_api(path, parse_qs(url.query))
        match = re.fullmatch(r"((?:datasets/)?[^/]+/[^/]+)/resolve/[^/]+/(.+)", path)
        name = f"{match[1]}/{match[2]}" if match else path
        if name in server.answers:
            answer = server.answers[name]
            return self.reply(*answer) if isinstance(answer, tuple) else self.reply(answer)
        if name not in server.files:
            return self.reply(404, {"X-Error-Code": "EntryNotFound"})
        self.send_file(server.files[name], body)

    def send_file(self, content: bytes | Path, body: bool):
        server, size = self.server, _size(content)
        fault = server.faults.pop(0) if server.faults and body else None
        if isinstance(fault, int):
            return self.reply(fault)
        if isinstance(fault, tuple) and fault[0] != "lie":
            return self.reply(*fault)
        etag = f'"{_digest(content)}"'
        headers = {"ETag": etag, "X-Repo-Commit": server.commit, "Accept-Ranges": "bytes"}
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        status, first, last = 200, 0, size - 1
        if wanted and fault != "no-range" and self.headers.get("If-Range", etag) == etag:
            first = int(wanted[1])
            if first >= size:
                return self.reply(416, {"Content-Range": f"bytes */{size}"})
            last = min(int(wanted[2] or size), size - 1)
            status = 206
            headers["Content-Range"] = f"bytes {first}-{last}/{size}"
        length = last + 1 - first
        if fault == "short":
            length //= 2
        more = fault[1] if isinstance(fault, tuple) else 0
        self.send_response(status)
        for key, value in {**headers, "Content-Length": str(length + more)}.items():
            self.send_header(key, value)
        self.end_headers()
        if body:
            if fault == "cut":
                length //= 2
            server.sent += length
            for part in _parts(content, first, length):
                self.wfile.write(part)
        if fault == "cut" or more:
            self.close_connection = True

    def answer_api(self, path: str, query: dict):
        kind, rest = path.removeprefix("api/").split("/", 1)
        repo = "/".join(rest.split("/")[:2])
        root = f"datasets/{repo}/" if kind == "datasets" else f"{repo}/"
        below = {
            name.removeprefix(root): content for name, content in self.server.files.items() if name.startswith(root)
        }
        if not below:
            return self.reply(404, {"X-Error-Code": "RepoNotFound"})
        entries = [
            {"type": "file", "path": name, "size": _size(content), "oid": _digest(content)}
            for name, content in below.items()
        ]
        if "/tree/" in rest:
            folder = rest.split("/tree/", 1)[1].partition("/")[2]
            return self.reply_json([e for e in entries if e["path"].startswith(folder)])
        if "/paths-info/" in rest:
            paths = json.loads(self.rest).get("paths", []) if self.rest[:1] == b"{" else None
            paths = paths or parse_qs(self.rest.decode()).get("paths", [])
            return self.reply_json([e for e in entries if e["path"] in paths])
        revision = rest.split("/revision/", 1)[1] if "/revision/" in rest else "main"
        if revision not in ("main", self.server.commit):
            return self.reply(404, {"X-Error-Code": "RevisionNotFound"})
        siblings = [{"rfilename": name, "size": _size(content)} for name, content in below.items()]
        self.reply_json({"id": repo, "sha": self.server.commit, "siblings": siblings})

    def reply_json(self, value):
        content = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def reply(self, status: int, headers: dict | None = None):
        self.send_response(status)
        for key, value in {**(headers or {}), "Content-Length": "0"}.items():
            self.send_header(key, value)
        self.end_headers()


def _size(content: bytes | Path) -> int:
    return content.stat().st_size if isinstance(content, Path) else len(content)


def _digest(content: bytes | Path) -> str:
    """40 hexadecimal digits that follow from the content; of a file on disk, from its name, size and time."""
    if isinstance(content, Path):
        content = f"{content} {content.stat().st_size} {content.stat().st_mtime_ns}".encode()
    return hashlib.sha1(content).hexdigest()


def _parts(content: bytes | Path, first: int, length: int) -> Iterator[bytes]:
    """The content from an offset on, in pieces."""
    if isinstance(content, bytes):
        yield content[first : first + length]
        return
    with content.open("rb") as stream:
        stream.seek(first)
        while length > 0 and (part := stream.read(min(length, 2**20))):
            length -= len(part)
            yield part


@contextmanager
def serving(server: Server) -> Iterator[Server]:
    """Answers requests in the background inside the block."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
