"""A server on this machine that speaks as much S3 as pyarrow asks for; objects lie in memory."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

DATE = "2026-11-21T00:00:00.000Z"


class Bucket(ThreadingHTTPServer):
    """objects: bucket/key -> bytes. parts: of the upload that is under way."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.objects: dict[str, bytes] = {}
        self.parts: dict[int, bytes] = {}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Bucket

    def log_message(self, *_: object) -> None:
        """Nothing is printed."""

    def do_PUT(self) -> None:
        key, query = self.asked()
        if "partNumber" in query:
            self.server.parts[int(query["partNumber"][0])] = self.sent()
        else:
            self.server.objects[key] = self.sent()
        self.answer()

    def do_POST(self) -> None:
        key, query = self.asked()
        self.sent()
        if "uploads" in query:
            self.server.parts.clear()
            self.answer(body=b"<InitiateMultipartUploadResult><UploadId>1</UploadId></InitiateMultipartUploadResult>")
            return
        self.server.objects[key] = b"".join(self.server.parts[number] for number in sorted(self.server.parts))
        self.answer(body=b"<CompleteMultipartUploadResult><ETag>0</ETag></CompleteMultipartUploadResult>")

    def do_HEAD(self) -> None:
        key, _ = self.asked()
        found = self.server.objects.get(key)
        self.answer(404 if found is None and "/" in key else 200, length=len(found or b""))

    def do_GET(self) -> None:
        key, query = self.asked()
        if "list-type" in query:
            self.answer(body=self.listing(key, query.get("prefix", [""])[0]))
        elif key not in self.server.objects:
            self.answer(404)
        elif "Range" in self.headers:
            whole = self.server.objects[key]
            first, _, last = self.headers["Range"].removeprefix("bytes=").partition("-")
            stop = min(int(last), len(whole) - 1)
            self.answer(206, whole[int(first):stop + 1], said=f"bytes {first}-{stop}/{len(whole)}")
        else:
            self.answer(body=self.server.objects[key])

    def listing(self, bucket: str, prefix: str) -> bytes:
        start = f"{bucket}/{prefix}"
        rows = [f"<Contents><Key>{key.removeprefix(bucket + '/')}</Key><Size>{len(whole)}</Size>"
                f"<LastModified>{DATE}</LastModified></Contents>"
                for key, whole in sorted(self.server.objects.items()) if key.startswith(start)]
        return (f"<ListBucketResult><KeyCount>{len(rows)}</KeyCount><IsTruncated>false</IsTruncated>"
                f"{''.join(rows)}</ListBucketResult>").encode()

    def asked(self) -> tuple[str, dict[str, list[str]]]:
        """bucket/key and the query."""
        url = urlsplit(self.path)
        return unquote(url.path).strip("/"), parse_qs(url.query, keep_blank_values=True)

    def answer(self, code: int = 200, body: bytes = b"", length: int | None = None, said: str | None = None) -> None:
        self.send_response(code)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.send_header("ETag", '"0"')
        self.send_header("Last-Modified", "Sat, 21 Nov 2026 00:00:00 GMT")
        if said is not None:
            self.send_header("Content-Range", said)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def sent(self) -> bytes:
        """The request's body; clients send it in pieces and sign each, or as it is."""
        raw = b""
        if self.headers.get("Transfer-Encoding") == "chunked":
            while size := int(self.rfile.readline().split(b";")[0], 16):
                raw += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if "aws-chunked" not in self.headers.get("Content-Encoding", ""):
            return raw
        whole = b""
        while raw:
            line, _, raw = raw.partition(b"\r\n")
            size = int(line.split(b";")[0], 16)
            if size == 0:
                break
            whole += raw[:size]
            raw = raw[size + 2:]
        return whole


@contextmanager
def bucket() -> Iterator[Bucket]:
    """A store with one empty bucket named `bucket`."""
    server = Bucket()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
