"""A remote file read in ranges, each of them asked for again until the network or the server is back."""

from __future__ import annotations

import io
import logging
import time

from blemish.job import UserError

WAITS = (1, 2, 4, 8, 15, 30, 60, 60, 60)  # seconds, on top of the few seconds that the hub's client retries itself
PASSING = (408, 425, 429, 500, 502, 503, 504)

logger = logging.getLogger("blemish.hub")


class Patient(io.RawIOBase):
    """Wraps a file of fsspec (opened with `cache_type="none"`), which reads a range by one request.

    Attributes:
        size: bytes of the whole file.
    """

    def __init__(self, file):
        self._file = file
        self.size: int = file.size

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def readinto(self, buffer) -> int:
        start = self.tell()
        wanted = min(len(buffer), self.size - start)
        for wait in (*WAITS, None):
            try:
                self._file.seek(start)
                content = self._file.read(wanted) if wanted else b""
                if len(content) == wanted:
                    buffer[:wanted] = content
                    return wanted
                fault = f"{len(content):,} of {wanted:,} bytes came"
            except Exception as error:
                if not may_pass(error):
                    raise
                fault = str(error) or type(error).__name__
            if wait is None:
                break
            logger.warning("%s at byte %d: %s; again in %d s", self._file.path, start, fault, wait)
            time.sleep(wait)
        raise UserError(
            f"{self._file.path} failed {len(WAITS) + 1} times in a row at byte {start:,} ({fault}): start again "
            "when the network or the server is back."
        )


def may_pass(error: Exception) -> bool:
    """Whether a fault of the hub's client is one of the network or of a busy server."""
    import httpx2
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    if isinstance(error, HfHubHTTPError):
        return error.response is not None and error.response.status_code in PASSING
    return isinstance(error, httpx2.TransportError | TimeoutError | ConnectionError) and not isinstance(
        error, OfflineModeIsEnabled
    )
