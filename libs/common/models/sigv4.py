"""AWS Signature Version 4 of a request to S3 (docs.aws.amazon.com, "Authenticating Requests: Using the Authorization
Header"), for a body that is known whole."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime
from urllib.parse import parse_qsl, quote, urlsplit

ALGORITHM = "AWS4-HMAC-SHA256"


def signed_headers(
    method: str,
    url: str,
    body: bytes,
    *,
    key: str,
    secret: str,
    region: str,
    now: datetime,
    service: str = "s3",
    headers: Mapping[str, str] = {},
) -> dict[str, str]:
    """The headers that a request must carry: host, x-amz-date, x-amz-content-sha256, `headers` and Authorization.

    `now`: UTC. `url`: its path and query percent-encoded as they are sent.
    """
    stamp = now.strftime("%Y%m%dT%H%M%SZ")
    parts = urlsplit(url)
    payload = hashlib.sha256(body).hexdigest()
    sent = {k.lower(): v for k, v in headers.items()}
    sent |= {"host": parts.netloc, "x-amz-date": stamp, "x-amz-content-sha256": payload}
    names = ";".join(sorted(sent))
    query = "&".join(
        f"{quote(k, safe='-_.~')}={quote(v, safe='-_.~')}"
        for k, v in sorted(parse_qsl(parts.query, keep_blank_values=True))
    )
    lines = [f"{name}:{' '.join(sent[name].split())}" for name in sorted(sent)]
    request = "\n".join([method, parts.path or "/", query, *lines, "", names, payload])
    scope = f"{stamp[:8]}/{region}/{service}/aws4_request"
    text = "\n".join([ALGORITHM, stamp, scope, hashlib.sha256(request.encode()).hexdigest()])
    signing = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        signing = hmac.digest(signing, part.encode(), "sha256")
    signature = hmac.digest(signing, text.encode(), "sha256").hex()
    sent["authorization"] = f"{ALGORITHM} Credential={key}/{scope}, SignedHeaders={names}, Signature={signature}"
    return sent
