"""Spectrum and rhythm: against their definitions, and sounds whose shape and tempo are known.

What librosa says of them is compared in tests/spark/test_audio_clip.py: it takes long to load.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import soundfile
import soxr

from content_signals.signals.audio_clip import rhythm, spectrum
from content_signals.signals.audio_clip.excerpt import LONGEST_S, Excerpt
from content_signals.signals.audio_clip.rhythm import rhythm_of
from content_signals.signals.audio_clip.spectrum import BANDS, FRAME, HOP, RATE, SPEECH_RANGE_HZ, frames_of
from tests.sounds import AUDIO, clicks, needs_audio, noise, sine

SOUNDS = {
    "noise": noise(2.0),
    "tone": sine(1_000, 2.0),
    "chord": sine(220, 2.0, amplitude=0.2) + sine(277, 2.0, amplitude=0.2) + noise(2.0, amplitude=0.001),
    "clicks": clicks(120, 2.0) + noise(2.0, amplitude=1e-4),
}


def of_one_frame(samples: np.ndarray) -> dict[str, float]:
    """The definitions, in double precision, bin by bin."""
    hann = [0.5 - 0.5 * math.cos(2 * math.pi * n / FRAME) for n in range(FRAME)]
    magnitudes = np.abs(np.fft.rfft(samples.astype(np.float64) * hann))
    hz = np.fft.rfftfreq(FRAME, 1 / RATE)
    centroid = sum(m * f for m, f in zip(magnitudes, hz, strict=True)) / sum(magnitudes)
    spread = sum(m * (f - centroid) ** 2 for m, f in zip(magnitudes, hz, strict=True)) / sum(magnitudes)
    below = 0
    while sum(magnitudes[: below + 1]) < 0.85 * sum(magnitudes):
        below += 1
    powers = [max(m * m, 1e-10) for m in magnitudes]
    flatness = math.exp(sum(map(math.log, powers)) / len(powers)) / (sum(powers) / len(powers))
    return {"centroid_hz": centroid, "bandwidth_hz": spread**0.5, "rolloff_hz": hz[below], "flatness": flatness}


@pytest.mark.parametrize("name", SOUNDS)
def test_shapes_of_frames_are_those_of_the_definitions(name):
    samples = SOUNDS[name]
    found = frames_of(samples)
    for at in (7, 60, 121):
        expected = of_one_frame(samples[at * HOP : at * HOP + FRAME])
        for column, value in expected.items():
            assert getattr(found, column)[at] == pytest.approx(value, rel=2e-3, abs=0.5 if "hz" in column else 1e-4), (
                column
            )


def test_mel_bands_hold_the_power_of_their_triangles():
    """A tone has its power in the one or two bands about its frequency."""
    for hz in (150, 1_000, 3_000):
        bands = frames_of(sine(hz, 0.5)).bands.mean(axis=0)
        mel = np.linspace(0, 2595 * math.log10(1 + RATE / 2 / 700), BANDS + 2)[1:-1]
        middle = 700 * (10 ** (mel / 2595) - 1)
        assert abs(int(bands.argmax()) - int(np.abs(middle - hz).argmin())) <= 1
    high = SPEECH_RANGE_HZ[1]
    outside = frames_of(sine(high + 400, 0.5)).speech_bands.max() / frames_of(sine(1_000, 0.5)).speech_bands.max()
    assert outside < 1e-3


def test_a_tone_stands_where_it_is():
    found = frames_of(sine(1_000, 1.0))
    assert found.centroid_hz.mean() == pytest.approx(1_000, abs=20)
    assert found.flatness.max() < 0.01
    assert frames_of(noise(1.0)).flatness.mean() > 0.4


def test_pauses_have_no_colour():
    found = frames_of(np.concatenate([noise(1.0), np.zeros(RATE, np.float32)]))
    assert found.audible.mean() == pytest.approx(0.5, abs=0.04)
    assert not frames_of(np.zeros(RATE, np.float32)).audible.any()


@pytest.mark.parametrize("samples", [0, 1, FRAME - 1, FRAME, FRAME + HOP])
def test_there_is_a_frame_however_short_it_is(samples):
    found = frames_of(noise(1.0)[:samples])
    assert len(found.power) == max(1, (samples - FRAME) // HOP + 1)
    assert rhythm_of(found.bands).tempo_bpm is None


def test_parts_of_the_frames_say_what_the_whole_says(monkeypatch):
    whole = frames_of(SOUNDS["chord"])
    monkeypatch.setattr(spectrum, "_TOGETHER", 7)
    cut = frames_of(SOUNDS["chord"])
    np.testing.assert_allclose(cut.bands, whole.bands, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(cut.centroid_hz, whole.centroid_hz, rtol=1e-5)


# --- the excerpt ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [4_000, 8_000, 22_050, 44_100, 192_000])
def test_resampling_in_blocks_is_resampling_at_once(rate):
    wave = noise(1.0, rate)
    excerpt = Excerpt(rate, len(wave))
    for start in range(0, len(wave), 3_001):
        excerpt.see(wave[start : start + 3_001, np.newaxis])
    np.testing.assert_allclose(excerpt.samples(), soxr.resample(wave, rate, RATE), atol=1e-4)


def test_the_middle_is_kept_and_channels_are_averaged():
    """A recording that counts its own seconds."""
    seconds = 3 * LONGEST_S
    wave = np.repeat(np.arange(seconds, dtype=np.float32), RATE)
    excerpt = Excerpt(RATE, len(wave))
    for start in range(0, len(wave), 100_003):
        part = wave[start : start + 100_003]
        excerpt.see(np.stack([part, 3 * part], axis=1))
    found = excerpt.samples()
    assert len(found) == LONGEST_S * RATE
    assert (found[0], found[-1]) == (2 * LONGEST_S, 2 * (2 * LONGEST_S - 1))


@pytest.mark.parametrize("rate", [RATE, 44_100])
def test_one_sample_has_an_excerpt(rate):
    excerpt = Excerpt(rate, 1)
    excerpt.see(np.full((1, 1), 0.5, np.float32))
    assert len(excerpt.samples()) <= 1


# --- rhythm -----------------------------------------------------------------------------------------------------------


def octaves_off(found: float, bpm: float) -> float:
    """How far a tempo is from the true one or its half or double, in parts of it."""
    return min(abs(found / (bpm * times) - 1) for times in (0.5, 1, 2))


@pytest.mark.parametrize("bpm", range(60, 181, 5))
def test_tempo_of_a_click_track(bpm):
    """The right one or its half or double: to a listener too 60 and 120 can be the same piece."""
    found = rhythm_of(frames_of(clicks(bpm, 20)).bands)
    assert octaves_off(found.tempo_bpm, bpm) < 0.01
    assert found.tempo_confidence > 0.8
    assert found.onsets_per_second == pytest.approx(bpm / 60, abs=0.15)


@pytest.mark.parametrize("bpm", [83, 127, 171])
def test_tempo_under_noise(bpm):
    found = rhythm_of(frames_of(clicks(bpm, 20) + noise(20, amplitude=0.02)).bands)
    assert octaves_off(found.tempo_bpm, bpm) < 0.01
    assert found.tempo_confidence > 0.3


def test_noise_has_no_beat_and_little_confidence():
    assert rhythm_of(frames_of(noise(20)).bands).tempo_confidence < 0.2


def test_clicks_at_random_have_little_confidence():
    beats = np.sort(np.random.default_rng(3).uniform(0.1, 19, 40))
    wave = np.zeros(20 * RATE, np.float32)
    for beat in beats:
        at = round(beat * RATE)
        wave[at : at + 480] += sine(1_000, 0.03)
    assert rhythm_of(frames_of(wave).bands).tempo_confidence < 0.5


HARMONIC = sum(sine(hz, 8.0, amplitude=0.15) for hz in (220.0, 277.18, 329.63))
EVERY_10_MS = np.tile(np.eye(1, 160, dtype=np.float32)[0], 800)
STEADY = {
    **{f"a tone of {hz} Hz": sine(hz, 8.0) for hz in (50, 100, 440, 997, 6_000)},
    "a faint tone": sine(440, 8.0, amplitude=0.01),
    "a tone over a constant": sine(440, 8.0, amplitude=0.3) + np.float32(0.3),
    "a chord": HARMONIC,
    "a pulse every 10 ms": EVERY_10_MS,
    "a tone that grows": sine(440, 8.0) * np.linspace(0.5, 1, 8 * RATE, dtype=np.float32),
}


@pytest.mark.parametrize("name", STEADY)
def test_what_is_steady_has_neither_beat_nor_onset(name):
    """As 16 bit store it: the rounding repeats with the tone, and nothing else rises."""
    stored = np.round(STEADY[name] * 32_767).astype(np.float32) / 32_768
    found = rhythm_of(frames_of(stored).bands)
    assert (found.tempo_bpm, found.tempo_confidence, found.onsets_per_second) == (None, None, 0)


def test_a_soft_beat_over_a_chord_is_one():
    """A drum of 60 Hz, weaker than the chord, swells within 5 ms twice a second: few bands rise, and little."""
    at = np.arange(6_400) / RATE
    drum = 0.1 * np.sin(2 * np.pi * 60 * at) * np.exp(-at / 0.05) * (1 - np.exp(-at / 0.005))
    wave = HARMONIC.copy()
    for start in range(RATE // 4, len(wave) - len(drum), RATE // 2):
        wave[start : start + len(drum)] += drum.astype(np.float32)
    found = rhythm_of(frames_of(wave).bands)
    assert octaves_off(found.tempo_bpm, 120) < 0.01
    assert found.onsets_per_second == pytest.approx(2, abs=0.3)


@needs_audio
def test_the_floors_change_no_real_clip(monkeypatch):
    """Rain, the sea and a chainsaw rise least of what lasts 4 s, and half a second of speech of all."""
    files = sorted(path for kind in ("ogg", "wav") for path in AUDIO.rglob(f"*.{kind}"))
    waves = (soundfile.read(path, dtype="float32", always_2d=True) for path in files)
    bands = [frames_of(soxr.resample(wave.mean(axis=1), rate, RATE)).bands for wave, rate in waves]
    found = [rhythm_of(each) for each in bands]
    monkeypatch.setattr(rhythm, "_LEAST_BEAT_DB", 0.0)
    monkeypatch.setattr(rhythm, "_LEAST_ONSET_DB", 0.0)
    assert found == [rhythm_of(each) for each in bands]
    assert all(each.onsets_per_second > 0 for each in found)


def test_what_has_no_tempo():
    assert rhythm_of(frames_of(clicks(120, 3.9)).bands).tempo_bpm is None
    assert rhythm_of(frames_of(clicks(120, 4.2)).bands).tempo_bpm is not None
    silent = rhythm_of(frames_of(np.zeros(10 * RATE, np.float32)).bands)
    assert (silent.tempo_bpm, silent.tempo_confidence, silent.onsets_per_second) == (None, None, 0)
