"""Words of the generated catalogue: invented names, titles in many scripts, and the markers releases put after them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Language:
    """How titles of a language are made.

    Attributes:
        share: weight among titles; roughly what a worldwide playlist catalogue shows, the rarer scripts raised so that
            a small catalogue has them all.
        heads: first words.
        tails: second words; a title has one or both.
        markers: what may follow, with its bracket or dash.
        joint: between head and tail; empty where a script writes no spaces.
    """

    share: float
    heads: tuple[str, ...]
    tails: tuple[str, ...]
    markers: tuple[str, ...]
    joint: str = " "


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


LANGUAGES: dict[str, Language] = {
    "en": Language(
        60,
        _words("Midnight Paper Golden Silver Broken Distant Electric Quiet Alive Live Acoustic Cover Slow Wild Hollow "
               "Northern Borrowed Sunday Velvet Neon Empty Second Crooked Endless Summer Winter Tidal Lonely Bright"),
        _words("Rivers Houses Letters Hearts Fires Streets Machines Gardens Mirrors Forever Tonight Again Delivery "
               "Weather Signals Oceans Engines Promises Windows Shadows Matches Radio Lanterns Highways Echoes Defeat"),
        (" - Live", " (Live)", " - Live at the Harbour Hall", " - Acoustic", " (Acoustic Version)", " - Radio Edit",
         " - Original Mix", " (Instrumental)", " - 2011 Remaster", " - Remastered 2009", " - Demo", " (Interlude)",
         " - Mono / Remastered", " (Unplugged)", " - Single Version", " (Karaoke Version)", " (Acoustic Cover)"),
    ),
    "es": Language(
        9,
        _words("Corazón Noche Camino Lluvia Fuego Ciudad Luna Sombra Verano Tiempo"),
        _words("Perdido Eterna Contigo Salvaje Azul Secreta Ajena Lejana Dormida Nuestro"),
        (" - En Vivo", " (En Directo)", " - Remasterizado 2015", " (Versión Acústica)", " - Versión Karaoke"),
    ),
    "pt": Language(
        6,
        _words("Saudade Coração Madrugada Mar Canção Estrela Janela Caminho Sertão"),
        _words("Perdida Distante Amanhecer Vadio Azul Antiga Morena Infinito"),
        (" - Ao Vivo", " (Ao Vivo)", " (Acústico)", " (Playback)", " - Remasterizado"),
    ),
    "fr": Language(
        4, _words("Nuit Rivière Lumière Pluie Étoile Rue Île"), _words("Blanche Oubliée Secrète Dorée Fragile"),
        (" - Live", " (Version acoustique)", " - Remasterisé en 2014", " (Instrumental)"),
    ),
    "de": Language(
        4, _words("Nacht Straße Himmel Feuer Regen Glück Fernweh"), _words("Lichter Träume Zeit Ohne Für Über"),
        (" - Live aus Berlin", " (Akustik Version)", " - Instrumental", " - Remastered"),
    ),
    "ja": Language(
        3, _words("夜 海 花 空 風 星 夏 ヒカリ きみ さくら"), _words("の歌 の色 へ の灯り をさがして メロディー"),
        ("（ライブ）", " - アコースティック", "【カラオケ】", " (リマスター)", " (Instrumental)"), joint="",
    ),
    "ko": Language(
        3, _words("밤 바다 편지 봄날 그대 여름 하늘 우리"), _words("그리고 너 안녕 사이 처럼 에게 기억"),
        (" (Inst.)", " (Live)", " - 어쿠스틱 버전", " (리믹스)"),
    ),
    "zh": Language(
        2, _words("夜 月光 红豆 远方 江湖 青春 雨"), _words("之歌 来信 不归 的人 旧事"),
        ("（现场版）", "（伴奏）", " (Live版)", "（翻唱）"), joint="",
    ),
    "ru": Language(
        3, _words("Ночь Город Дождь Море Снег Звезда Весна"), _words("Навсегда Уходит Твоя Домой Молчит Далеко"),
        (" (Ремикс)", " - концертная версия", " (Акустика)", " (Live)"),
    ),
    "ar": Language(2, _words("ليل قلب بحر حلم نور"), _words("بعيد الغائب وحدي القديم"), (" (لايف)", " - Live")),
    "hi": Language(2, _words("रात दिल बारिश सपना चाँद"), _words("तेरा कहाँ और फिर"), (" (रीमिक्स)", " (Unplugged)")),
    "th": Language(1, _words("คืน ฝน ทะเล ใจ"), _words("สุดท้าย ของเรา คิดถึง"), (" (แสดงสด)",), joint=""),
    "he": Language(1, _words("לילה ים רחוב לב"), _words("שלנו רחוק לבן"), (" - בהופעה",)),
    "el": Language(1, _words("Νύχτα Θάλασσα Καρδιά"), _words("Μακριά Ξανά Μόνη"), (" - Live",)),
}  # fmt: skip

# Digits and signs only: titles without a letter exist, and have no script.
NUMBERS = ("17", "1999", "7/11", "24 / 7", "10%", "222")

FIRST_NAMES = _words(
    "Ada Bruno Chiara Dario Elin Farid Greta Hugo Inés Jonas Kaya Lior Mina Noor Otto Paloma Quinn Rosa Søren Tala "
    "Ulla Vera Wim Xenia Yara Zoë Ísold Łukasz Žofie 유나 さくら Анна"
)
LAST_NAMES = _words(
    "Abara Bergen Castel Doria Eklund Farrow Gallo Hartog Ibsen Juarez Kovač Lindqvist Moreau Nakata Okafor Petrov "
    "Quist Rinaldi Sandoval Tanaka Ueda Vasquez Weiss Yilmaz Zeman"
)
BANDS = _words(
    "Lanterns Tidewater Copper_Foxes Night_Ferry The_Paper_Mills The_Long_Coats Salt_&_Cedar Au/Rora K$Y M.O.S.S. "
    "Defeat_Street Feather_Unit Hill_+_Vale ÆTHER MOTELS! Nº9"
)

# Commas, quotes, backslashes, a trailing backslash and many scripts: what a CSV parser trips over.
PLAYLISTS = (
    "Morning, Slowly", 'The "Big" Room', "AC\\DC Garage", "Low Light\\", '"Quoted"', "Rock 'n' Roll, Mostly",
    "C:\\Chill\\Out", 'Say "Hi", Then \\ Go', "Ação, Café & Saudade", "夜のドライブ", "출근길", "Вечер пятницы",
    "ليالي هادئة", "शाम की धुन", "ฝนตก", "לילה טוב", "Ελληνικά, Τώρα", "失眠電台", "Fêtes d'été", "Über den Wolken",
    "100% Beats; No Talk", "#throwback", "A.M. Focus", "Piano | Rain", "🔥 Now", "Łagodnie", "Ísland á nóttunni",
)  # fmt: skip
MOODS = _words("Calm Bright Deep Late Early Lost Warm Heavy Gentle Fresh")
PLACES = _words("Kitchen Highway Library Rooftop Garage Harbour Attic Studio Garden Basement")
