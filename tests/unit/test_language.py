"""Languages of texts and titles: sentences whose language is known, rules of letters, Bayes' rule, real samples."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from content_signals.models import language
from content_signals.models.language import LONGEST, PIECES, UNKNOWN, Guess, detect, guess, likelihoods, pieces
from content_signals.signals.track_language.compute import WEIGHTS, languages
from content_signals.signals.track_language.contract import TRACK_LANGUAGE_V1
from content_signals.signals.track_language.wording import wording
from tests.transcripts import DATA

SAMPLES = DATA / "languages" / "samples.parquet"
real_samples = pytest.mark.skipif(
    not SAMPLES.is_file(), reason="labelled samples are not here: set CONTENT_SIGNALS_DATA"
)

# The first article of the Universal Declaration of Human Rights, in the United Nations' translations.
DECLARATION = {
    "en": "All human beings are born free and equal in dignity and rights.",
    "de": "Alle Menschen sind frei und gleich an Würde und Rechten geboren.",
    "fr": "Tous les êtres humains naissent libres et égaux en dignité et en droits.",
    "es": "Todos los seres humanos nacen libres e iguales en dignidad y derechos.",
    "it": "Tutti gli esseri umani nascono liberi ed eguali in dignità e diritti.",
    "pt": "Todos os seres humanos nascem livres e iguais em dignidade e em direitos.",
    "nl": "Alle mensen worden vrij en gelijk in waardigheid en rechten geboren.",
    "sv": "Alla människor är födda fria och lika i värde och rättigheter.",
    "da": "Alle mennesker er født frie og lige i værdighed og rettigheder.",
    "fi": "Kaikki ihmiset syntyvät vapaina ja tasavertaisina arvoltaan ja oikeuksiltaan.",
    "pl": "Wszyscy ludzie rodzą się wolni i równi pod względem swej godności i swych praw.",
    "cs": "Všichni lidé rodí se svobodní a sobě rovní co do důstojnosti a práv.",
    "hu": "Minden emberi lény szabadon születik és egyenlő méltósága és joga van.",
    "tr": "Bütün insanlar hür, haysiyet ve haklar bakımından eşit doğarlar.",
    "ru": "Все люди рождаются свободными и равными в своем достоинстве и правах.",
    "uk": "Всі люди народжуються вільними і рівними у своїй гідності та правах.",
    "kk": "Барлық адамдар тумысынан азат және қадір-қасиеті мен құқықтары тең болып дүниеге келеді.",
    "el": "Όλοι οι άνθρωποι γεννιούνται ελεύθεροι και ίσοι στην αξιοπρέπεια και τα δικαιώματα.",
    "ar": "يولد جميع الناس أحرارا متساوين في الكرامة والحقوق.",
    "he": "כל בני אדם נולדו בני חורין ושווים בערכם ובזכויותיהם.",
    "hi": "सभी मनुष्यों को गौरव और अधिकारों के मामले में जन्मजात स्वतन्त्रता और समानता प्राप्त है।",
    "ja": "すべての人間は、生まれながらにして自由であり、かつ、尊厳と権利とについて平等である。",
    "ko": "모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다.",
    "zh": "人人生而自由，在尊严和权利上一律平等。",
    "th": "มนุษย์ทั้งหลายเกิดมามีอิสระและเสมอภาคกันในเกียรติศักดิ์และสิทธิ",
    "vi": "Tất cả mọi người sinh ra đều được tự do và bình đẳng về nhân phẩm và quyền lợi.",
    "sw": "Watu wote wamezaliwa huru, hadhi na haki zao ni sawa.",
}


@pytest.mark.parametrize("weights", [language.EVEN, WEIGHTS], ids=["even", "of titles"])
def test_sentences_are_told(weights):
    codes, confidences = detect(list(DECLARATION.values()), weights)
    assert dict(zip(DECLARATION, codes, strict=True)) == {code: code for code in DECLARATION}
    assert min(confidences) >= 0.6


@pytest.mark.parametrize("text", ["", "   ", "1999", "4:44", "???", "🔥🔥", "╜φ°⌂▌╫§", "૧૯"])
def test_no_letters_or_few_among_symbols_tell_nothing(text):
    assert detect([text]) == ([UNKNOWN], [0.0])


@pytest.mark.parametrize("name", ["Helen", "Roxanne", "Arabella", "Malibu", "Petrichor", "ABC", "Go"])
def test_names_and_short_words_are_not_told(name):
    assert detect([name], WEIGHTS)[0] == [UNKNOWN]


# What these languages call themselves.
OWN_SCRIPT = {
    "ml": "മലയാളം", "kn": "ಕನ್ನಡ", "or": "ଓଡ଼ିଆ", "si": "සිංහල", "km": "ភាសាខ្មែរ", "lo": "ພາສາລາວ",
    "my": "မြန်မာဘာသာ", "dv": "ދިވެހި ބަސް",
}  # fmt: skip


def test_a_script_of_one_language_tells_it_though_lingua_does_not_know_it():
    assert not set(OWN_SCRIPT) & set(language.CODES)
    assert detect(list(OWN_SCRIPT.values())) == (list(OWN_SCRIPT), [1.0] * len(OWN_SCRIPT))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("桜", Guess("ja", 1.0)),  # 櫻 before the reform in Japan, 樱 in simplified Chinese
        ("东京爱情故事", Guess("zh", 1.0)),  # simplified
        ("東京", Guess("zh", 0.5)),  # written alike in Japan, Taiwan and Hong Kong
        ("月亮代表我的心", Guess("zh", 1.0)),
        ("時間", Guess("zh", 0.5)),
        ("人人生而自由", Guess("zh", 1.0)),  # written alike, but so long a Japanese text has kana
    ],
)
def test_chinese_and_japanese_in_the_same_characters(text, found):
    assert guess([text]) == [found]


def test_ukrainian_is_not_taken_for_kazakh():
    """Two words of five with і, two with щ: lingua's rules leave Kazakh alone."""
    text = "Ще гіршому борщі становищі кращі"
    assert guess([text])[0].code == "uk"
    assert detect([DECLARATION["kk"]])[0] == ["kk"]


def test_weights_multiply_the_odds():
    text = "Photograph Memories"
    even = likelihoods([text])[0]
    english, latin = language.CODES.index("en"), language.CODES.index("la")
    weighted = even.copy()
    weighted[english] *= 7
    weighted[latin] *= 0.5
    best = int(weighted.argmax())
    code, confidence = guess([text], {"en": 7.0, "la": 0.5})[0]
    assert code == language.CODES[best]
    assert confidence == pytest.approx(weighted[best] / weighted.sum(), abs=5e-5)


def test_what_is_said_of_a_text_does_not_depend_on_its_neighbours():
    texts = [*DECLARATION.values(), "", "Helen", "桜", *OWN_SCRIPT.values()]
    together = guess(texts, WEIGHTS)
    assert together == [guess([text], WEIGHTS)[0] for text in texts]
    assert guess(texts[::-1], WEIGHTS) == together[::-1]


def test_one_core_is_used():
    def threads() -> set[str]:
        return {path.name for path in Path("/proc/self/task").iterdir()}

    detect(["Where is everybody?"])
    before = threads()
    detect(["Where is everybody?", DECLARATION["de"], "Она ушла"] * 50)
    assert threads() <= before  # those of other tests may end meanwhile


@pytest.mark.parametrize("length", [0, 5, LONGEST, LONGEST + 1, 500, 100_000])
@pytest.mark.parametrize("word", ["whale ", "鯨"])
def test_pieces_are_short_few_and_of_the_text(word, length):
    text = (word * length)[:length]
    found = list(pieces(text))
    assert len(found) <= PIECES
    assert all(len(piece) <= LONGEST and piece in text for piece in found)
    words = [word for piece in found[1:-1] for word in piece.split()]
    assert set(words) <= {"whale"} or word == "鯨"
    assert sum(map(len, found)) >= min(length, LONGEST * PIECES) * 0.85


def test_a_long_text_is_told_by_all_of_its_pieces():
    text = " ".join([DECLARATION["en"], *[DECLARATION["fr"]] * 6])
    assert detect([text])[0] == ["fr"]
    assert detect([" ".join([DECLARATION["fr"]] * 200)])[0] == ["fr"]


TITLES = {
    "Alors On Danse - DubDogz Remix": "Alors On Danse",
    "Titanium (feat. Sia)": "Titanium",
    "(I Can't Get No) Satisfaction - Mono Version": "(I Can't Get No) Satisfaction",
    "LOVE. FEAT. ZACARI.": "LOVE.",
    "One Night In Bangkok - From “Chess” / Remastered 2016": "One Night In Bangkok",
    "25 or 6 to 4 [Live]": "25 or 6 to 4",
    "Silence ft. Dave Thomas Junior": "Silence",
    "1989 (feat. Ludwig Kölsch)": "1989",
    "(Remix)": "",
    "夜に駆ける（Remix）": "夜に駆ける",
    "Lamento di Tristano - La rotta": "Lamento di Tristano - La rotta",
    "Nossa (Ao Vivo)": "Nossa (Ao Vivo)",
    "Live Forever": "Live Forever",
    "Escape (The Piña Colada Song)": "Escape (The Piña Colada Song)",
    "Layla - 40th Anniversary Version / 2010 Remastered": "Layla",
    "Time - 2011": "Time",
    "": "",
}


@pytest.mark.parametrize(("title", "words"), TITLES.items())
def test_the_words_of_a_title(title, words):
    assert wording(title) == words


def test_a_title_is_told_by_its_own_words():
    titles = [
        "Pour que tu m'aimes encore - Live at the Olympia 2012",
        "Bésame Mucho (feat. Sean O'Connor)",
        None,
        "夜桜",
    ]
    found = languages(titles, ["Céline Dion", None, None, "ゆず"])
    assert found.language == ["fr", "es", UNKNOWN, "ja"]
    assert found.language_confidence[2] == 0
    assert found.artists_language[1:] == [UNKNOWN, UNKNOWN, "ja"]
    assert languages(["夜桜"], ["Yuzu"]).language == ["ja"]  # 桜 is Japanese by itself
    assert languages(["夜空"], ["Yuzu"]).language == [UNKNOWN]
    assert languages(["夜空"], ["ゆず"]).language == ["ja"]


def test_results_are_kept_under_the_version_that_made_them():
    assert TRACK_LANGUAGE_V1.content is not None
    assert f"lingua {version('lingua-language-detector')}" in TRACK_LANGUAGE_V1.content.revision


@real_samples
def test_real_samples_of_75_languages():
    """Every 40th: the figures of docs/content/track_language.md within what chance allows for so few."""
    samples = pq.read_table(SAMPLES).take(np.arange(0, 222_799, 40)).to_pydict()
    labels, kinds = np.array(samples["language"]), np.array(samples["kind"])
    assert set(labels) == set(language.CODES)
    codes = np.array(detect(samples["text"], WEIGHTS)[0])
    right, told = codes == labels, codes != UNKNOWN
    sentences, pairs, words = (kinds == kind for kind in ("sentences", "word-pairs", "single-words"))
    assert right[sentences].mean() >= 0.945
    assert told[pairs].mean() >= 0.75
    assert right[pairs & told].mean() >= 0.92
    assert right[words & told].mean() >= 0.92
