from __future__ import annotations

import numpy as np
import pytest

from detectors import decode
from tests.builders_audio import recording, tone

# ITU-T G.711: the codes of full scale, of the smallest step and of silence, as 16-bit values.
MULAW = {0x80: 32124, 0x00: -32124, 0xFF: 0, 0x7F: 0, 0xFE: 8, 0x7E: -8, 0xEF: 132, 0xF0: 120}
ALAW = {0xAA: 32256, 0x2A: -32256, 0xD5: 8, 0x55: -8, 0xD4: 24, 0xC5: 264, 0xF5: 528}


@pytest.mark.parametrize(("encoding", "table"), [("pcmu", MULAW), ("pcma", ALAW)])
def test_g711_codes_become_the_values_of_the_standard(encoding, table):
    samples = decode.decode(bytes(table), encoding, 8000, 1)
    assert (samples[0] * 32768).tolist() == list(table.values())


def test_encoding_mulaw_gives_back_every_code():
    codes = bytes(range(256))
    again = decode.encode_mulaw(decode.decode(codes, "pcmu", 8000, 1)[0])
    # 0x7F is minus zero, which has no sample of its own.
    assert again == codes.replace(b"\x7f", b"\xff")


def test_mulaw_of_speech_is_38_db_above_its_noise():
    speech = recording("asterisk-en", "vm-options.flac")[0][0]
    again = decode.decode(decode.encode_mulaw(speech), "pcmu", 8000, 1)[0]
    noise = np.mean((again - speech) ** 2)
    # G.711 promises about 38 dB for a full-scale sine and stays above 33 dB over 40 dB of level.
    assert 10 * np.log10(np.mean(speech**2) / noise) > 33


@pytest.mark.parametrize(("encoding", "order"), [("s16le", "<i2"), ("s16be", ">i2")])
def test_pcm16_keeps_channels_apart(encoding, order):
    payload = np.array([1, -32768, 2, 32767], order).tobytes()
    samples = decode.decode(payload, encoding, 16000, 2)
    assert samples.dtype == np.float32
    assert (samples * 32768).tolist() == [[1, 2], [-32768, 32767]]


@pytest.mark.parametrize(
    ("payload", "encoding", "rate", "channels", "says"),
    [
        (b"abc", "s16le", 8000, 1, "multiple of 2 bytes"),
        (b"abcdef", "s16be", 8000, 2, "multiple of 4 bytes"),
        (b"abc", "pcmu", 8000, 2, "multiple of 2 bytes"),
        (b"ab", "s16le", 11025, 1, "8000, 16000, 32000, 48000"),
        (b"ab", "opus", 8000, 1, "s16le, s16be, pcmu, pcma"),
        (b"abcdef", "s16le", 8000, 3, "1 or 2"),
    ],
)
def test_what_cannot_be_sound_is_refused_with_what_to_send_instead(payload, encoding, rate, channels, says):
    with pytest.raises(ValueError, match=says):
        decode.decode(payload, encoding, rate, channels)


def test_no_bytes_are_no_samples():
    assert decode.decode(b"", "s16le", 8000, 2).shape == (2, 0)


def down(samples, rate, piece):
    state = np.zeros(1, decode.STATE)
    parts = [decode.to_8k(state, 0, samples[at : at + piece], rate) for at in range(0, len(samples), piece)]
    return np.concatenate(parts)


@pytest.mark.parametrize("rate", [16000, 32000, 48000])
def test_a_tone_of_the_telephone_band_keeps_its_level_and_one_above_is_gone(rate):
    def level(hertz):
        track = down(tone(hertz, 1.0, -20.0, rate), rate, rate)[400:].astype(float) / 32768
        return 10 * np.log10(np.mean(track**2) + 1e-12)

    assert abs(level(1000) + 20) < 0.1
    assert abs(level(3300) + 20) < 1.0
    # What is left above 4 kHz folds into the band: 40 dB down it is quieter than µ-law's own noise.
    assert level(4800) < -20 - 40
    assert len(down(tone(1000, 1.0, -20.0, rate), rate, rate)) == 8000


@pytest.mark.parametrize("rate", [8000, 16000, 48000])
@pytest.mark.parametrize("piece", [1, 777, 960])
def test_the_8_khz_track_is_the_same_to_the_bit_however_it_was_cut(rate, piece):
    sound = tone(440, 0.3, -9.0, rate) + tone(2100, 0.3, -15.0, rate)
    assert np.array_equal(down(sound, rate, piece), down(sound, rate, len(sound)))


def test_what_is_not_a_number_becomes_silence_and_what_is_too_loud_full_scale():
    pcm = decode.to_pcm16(np.array([np.nan, np.inf, -np.inf, 2.0, -2.0, 0.5], np.float32))
    assert pcm.tolist() == [0, 32767, -32768, 32767, -32768, 16384]
