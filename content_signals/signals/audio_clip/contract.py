"""What a clip sounds like: level, tempo, spectrum, speech."""

from content_signals.content import Content
from content_signals.contract import Computed, Input, Table
from content_signals.signals.entities import AUDIO_CLIP

AUDIO_CLIP_V1 = Table(
    name="audio_clip",
    version=1,
    entity=AUDIO_CLIP,
    driver=Input("audio_clips_v1"),
    # Another one whenever a value may come out differently: the method, the voice detector, the model of classes.
    content=Content(
        id="sha256",
        reads=("path", "bytes"),
        revision="audio-5 silero-vad-16k:9ccdacc4719d class-v1:3279800aa201",
        batch=500,
    ),
    columns=(
        Computed("duration_ms", "bigint", unit="ms", about="Length of the recording"),
        Computed(
            "analysed_ms", "bigint", unit="ms", about="Length of its middle that all but the levels were taken of"
        ),
        Computed("sample_rate_hz", "int", unit="Hz", about="Samples a second as stored"),
        Computed("channels_count", "int", unit="channels", about="Channels as stored"),
        Computed("encoding", "string", about="Container and encoding of the bytes, whatever the file is called"),
        Computed(
            "loudness_lufs",
            "double",
            unit="LUFS",
            about="Integrated loudness by BS.1770-4; null below -70 LUFS, under 400 ms, and for over five channels",
        ),
        Computed("peak_dbfs", "double", unit="dBFS", about="Largest sample; null where all are zero"),
        Computed("rms_dbfs", "double", unit="dBFS", about="Root mean square of all samples; null where all are zero"),
        Computed("clipping_ratio", "double", about="Share of samples at full scale, three or more in a row"),
        Computed("silence_ratio", "double", about="Share of the length that is weaker than -60 dBFS"),
        Computed(
            "tempo_bpm",
            "double",
            unit="beats a minute",
            about="Tempo, or its half or double; null under 4 s and where nothing starts",
        ),
        Computed(
            "tempo_confidence", "double", about="How well onsets repeat after a beat, 0 to 1; null with the tempo"
        ),
        Computed("onsets_per_second", "double", unit="onsets a second", about="Sounds that start, a second"),
        Computed("spectral_centroid_hz", "double", unit="Hz", about="Mean frequency, by magnitude; null for silence"),
        Computed(
            "spectral_bandwidth_hz", "double", unit="Hz", about="Standard deviation of frequency; null for silence"
        ),
        Computed("spectral_rolloff_hz", "double", unit="Hz", about="85 % of the magnitude is below; null for silence"),
        Computed("spectral_flatness", "double", about="1: like white noise, near 0: like a tone; null for silence"),
        Computed("low_energy_ratio", "double", about="Share of frames weaker than half the mean; null for silence"),
        Computed("speech_probability", "double", about="Mean of silero-vad's probability that a window holds speech"),
        Computed("class_music_probability", "double", about="That it is music, by class-v1; null for silence"),
        Computed("class_speech_probability", "double", about="That it is speech, by class-v1; null for silence"),
        Computed("class_environment_probability", "double", about="That it is neither, by class-v1; null for silence"),
    ),
    owner="audio-signals",
    about="Level, tempo, spectrum and class of every clip in the landing folder on the day.",
)
