"""A tiny model that serves, signed or not, and an S3 server that checks what it is sent."""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path
from urllib.parse import parse_qsl, quote, urlsplit

import msgspec
from aiohttp import web

from libs.common.signing import make_signer
from libs.core.agents.artifact import Manifest, make_artifact, pack
from libs.core.agents.boosting_model import Heads, Linear, Member
from libs.core.types import SECOND

KEY, SECRET, REGION = "AKIDEXAMPLE", "a secret of forty letters or thereabouts", "eu-west-3"


def blob(var: Path, name: str = "one", *, signed: bool = True, symbol: str = "BTCUSDT") -> bytes:
    """A boosting model of one feature; `name` makes it another one."""
    member = Member(Linear(weights=(0.1,), bias=0.0), 1.0)
    manifest = Manifest(
        agent="boosting",
        kind="lightgbm",
        venue="binance",
        symbol=symbol,
        interval_s=1,
        set_hash="set",
        features=("ret_1",),
        center=(0.0,),
        scale=(1.0,),
        trained_from=0,
        trained_to=1000 * SECOND,
        data_hash=name,
        samples=1000,
    )
    artifact = make_artifact(manifest, {"heads": msgspec.msgpack.encode(Heads((member,), (member,), 1.0))})
    return pack(make_signer(var)(artifact) if signed else artifact)


class S3Server:
    """A bucket behind path-style URLs; a request whose signature is not the one it computes itself gets 403."""

    def __init__(self, page: int = 2) -> None:
        self.objects: dict[str, bytes] = {}
        self.page = page
        self.full = False
        self._runner: web.AppRunner | None = None
        self.url = ""

    async def __aenter__(self) -> S3Server:
        app = web.Application()
        app.router.add_route("*", "/{tail:.*}", self._answer)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
        self.url = f"s3+http://127.0.0.1:{port}/bucket/models v1"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        body = await request.read()
        if not self._signed(request, body):
            return web.Response(status=403, text="<Error><Code>SignatureDoesNotMatch</Code></Error>")
        path = request.rel_url.path
        if not path.startswith("/bucket"):
            return web.Response(status=404, text="<Error><Code>NoSuchBucket</Code></Error>")
        if request.method == "PUT":
            if self.full:
                return web.Response(status=507, text="<Error><Code>InsufficientStorage</Code></Error>")
            self.objects[path.removeprefix("/bucket/")] = body
            return web.Response()
        if path == "/bucket":
            return self._listing(request)
        found = self.objects.get(path.removeprefix("/bucket/"))
        return web.Response(status=404) if found is None else web.Response(body=found)

    def _listing(self, request: web.Request) -> web.Response:
        keys = sorted(key for key in self.objects if key.startswith(request.query["prefix"]))
        at = int(request.query.get("continuation-token", "0"))
        more = at + self.page < len(keys)
        rows = "".join(f"<Contents><Key>{key}</Key></Contents>" for key in keys[at : at + self.page])
        token = f"<NextContinuationToken>{at + self.page}</NextContinuationToken>" if more else ""
        text = f"<IsTruncated>{str(more).lower()}</IsTruncated>{rows}{token}"
        xmlns = "http://s3.amazonaws.com/doc/2006-03-01/"
        return web.Response(text=f'<ListBucketResult xmlns="{xmlns}">{text}</ListBucketResult>')

    def _signed(self, request: web.Request, body: bytes) -> bool:
        """The signature computed anew from the request as it came over the wire."""
        given = request.headers.get("Authorization", "")
        scheme, _, rest = given.partition(" ")
        fields = dict(part.strip().split("=", 1) for part in rest.split(","))
        names = fields["SignedHeaders"].split(";")
        date = request.headers["x-amz-date"]
        if request.headers["x-amz-content-sha256"] != hashlib.sha256(body).hexdigest() or "host" not in names:
            return False
        parts = urlsplit(request.raw_path)
        query = "&".join(
            f"{quote(k, safe='-_.~')}={quote(v, safe='-_.~')}"
            for k, v in sorted(parse_qsl(parts.query, keep_blank_values=True))
        )
        headers = "".join(f"{name}:{request.headers[name].strip()}\n" for name in names)
        payload = request.headers["x-amz-content-sha256"]
        canonical = f"{request.method}\n{parts.path}\n{query}\n{headers}\n{';'.join(names)}\n{payload}"
        scope = f"{date[:8]}/{REGION}/s3/aws4_request"
        text = f"AWS4-HMAC-SHA256\n{date}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        key = f"AWS4{SECRET}".encode()
        for part in (date[:8], REGION, "s3", "aws4_request"):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
        return (
            scheme == "AWS4-HMAC-SHA256"
            and fields["Credential"] == f"{KEY}/{scope}"
            and hmac.compare_digest(fields["Signature"], signature)
        )
