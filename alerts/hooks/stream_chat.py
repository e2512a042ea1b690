"""Stream's webhook before a message is sent: getstream.io/chat/docs, `before_message_send_webhook`.

It waits 1.5 s by default, once, and then delivers, as it does after 4xx and 5xx. `X-Signature` is the HMAC-SHA256 of
the body, which may come compressed, under the app's API secret (`webhooks_overview`).
"""

from __future__ import annotations

import hashlib
import hmac
import zlib
from typing import Any

from alerts.config import HookConfig
from alerts.hooks.hook import (
    REFUSAL,
    Answered,
    Asked,
    BadHook,
    HookRequest,
    is_signed,
    json_object,
    message_of,
    need_secret,
    text_of,
)

PLATFORM = "stream"
_GZIP = 16 + zlib.MAX_WBITS


def unpacked(request: HookRequest, config: HookConfig) -> bytes:
    """Return the body as it was before it was compressed. Raises BadHook."""
    body = request.body
    if request.headers.get("content-encoding", "").strip().lower() == "gzip":
        unpacking = zlib.decompressobj(_GZIP)
        try:
            # Bounded: a few bytes can unpack to gigabytes.
            body = unpacking.decompress(body, config.most_bytes + 1)
        except zlib.error:
            raise BadHook(422, "the body is not gzip") from None
        if len(body) > config.most_bytes:
            raise BadHook(413, f"at most {config.most_bytes} bytes are read")
    return body


def signed_body(request: HookRequest, config: HookConfig) -> bytes:
    """Return the body, unpacked. Raises BadHook where it is not signed with one of our secrets."""
    need_secret(config, "TONEWATCH_STREAM_SECRET")
    body = unpacked(request, config)
    # The signature is that of what Stream compressed.
    wanted = [hmac.new(secret.encode(), body, hashlib.sha256).hexdigest() for secret in config.secrets]
    if not is_signed(request.headers.get("x-signature"), wanted):
        raise BadHook(401, "X-Signature is not the HMAC-SHA256 of the body under the API secret")
    return body


def read(request: HookRequest, config: HookConfig) -> Asked:
    """Return what is asked: the text of a message in a channel. Raises BadHook."""
    body = json_object(signed_body(request, config))
    message, user, channel = (_part(body, name) for name in ("message", "user", "channel"))
    text = message.get("text")
    if not isinstance(text, str) or not text:
        return Asked(None, body)
    teams = user.get("teams")
    team = teams[0] if isinstance(teams, list) and teams and isinstance(teams[0], str) else None
    sender = text_of(user.get("id"))
    return Asked(
        message_of(
            config,
            PLATFORM,
            sender=sender,
            receiver=None,
            conversation=text_of(channel.get("cid")) or f"{text_of(channel.get('type'))}:{text_of(channel.get('id'))}",
            # The same between two tries of the same call.
            message_id=text_of(message.get("id")) or request.headers.get("x-webhook-id", ""),
            text=text,
            name=text_of(user.get("name"))[:256],
            team=team,
        ),
        body,
    )


def _part(body: dict[str, Any], name: str) -> dict[str, Any]:
    """Return an object inside of the body. Raises BadHook."""
    part = body.get(name)
    if not isinstance(part, dict):
        raise BadHook(422, f"{name}: is not an object")
    return part


def answer(asked: Asked, answered: Answered) -> dict[str, Any]:
    """Return what becomes of the message: itself, with another text, or of the type `error`, which discards it."""
    if answered.action == "allow":
        return {"message": asked.body["message"]}
    if answered.action == "mask" and answered.replacement is not None:
        return {"message": {"text": answered.replacement}}
    return {"message": {"type": "error", "text": REFUSAL}}
