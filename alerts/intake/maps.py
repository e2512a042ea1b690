"""Every platform whose own events we read, by its name."""

from __future__ import annotations

from collections.abc import Mapping

from alerts.intake import amazon_connect, cometchat, easemob, stream_chat, tencent_im, wecom
from alerts.intake.field_map import FieldMap

MAPS: Mapping[str, FieldMap] = {
    each.PLATFORM: each for each in (easemob, tencent_im, stream_chat, cometchat, wecom, amazon_connect)
}
