"""Ad reads: stretches of speech written by hand, with the sentences a listener would call advertising."""

from __future__ import annotations

import time

import pytest

from content_signals.signals.episode_text.measures import ads_of, read_episode

# Each line of a case is a sentence of one host; those that start with "$" are in an ad read. "|" begins a paragraph.
ADS = [
    # credits
    "Welcome back. $Today's show is sponsored by Linode and Code School. On the show today we have myself.",
    "Hello! $This episode is brought to you by our friends at Acme Metal. Let's begin.",
    "$Our first sponsor for today is Toptal. And we are back.",
    "$Our second sponsor for today is actually Ardan Labs, with their training. We talked about Go.",
    "$So this is a good time to talk about our sponsor today, which is Backtrace. Now, your question.",
    "Bye all. $Huge shout out to our sponsors, Minio and Backtrace. $Without them, there would be no show. See you!",
    "$A huge thank you to Toptal, our sponsor. Share it with friends.",
    "$Support for this podcast comes from Acme. I have a question.",
    "Quick shout out first. $Thanks to our sponsors for this episode. $Linode, the best cloud, and Equinox.io. Go on.",
    "$Thanks once again to our partners at Fly.io. Goodbye.",
    # messages: as far as the sponsor is named
    "Why? $Thank our sponsor Linode. $You can pick a plan. $They have data centers. $Go to linode.com/us now. So what?",
    "$Our other sponsor is Equinox. $It packages what you ship. | $Equinox is free for everyone. | What did you ask?",
    # offers
    "$You can use the code 'gotime20' to get two free months. | I said so.",
    "$Our listeners have a discount code, and you get 20% off all tickets.",
    "$Use coupon code \"podjsparty20\" at checkout.",
    "$Go to acme.com/show and get two months for free.",
]  # fmt: skip
NO_ADS = [
    "I think our sponsors are different. We say no to some.",
    "It's about time for our first sponsor break.",
    "Let's take a pause to thank a sponsor. Back soon.",
    "Yay, thanks to our sponsors.",
    "Microsoft was the venue sponsor of the conference, and sponsors pay for that.",
    "The project is sponsored by Netlify, and Vue is sponsored by many.",
    "This show is not brought to you by Cognition Labs.",
    "Our sponsors, I would say, are one thing.",
    "We can use code generation, or use the code from last week.",
    "They get 30% off everything you sell in the store.",
    "A free trial is not freemium.",
    "The checkout has a little box for a promo code.",
    "Huge thank you to Ada, our guest today.",
    "Check out changelog.com/gotime for more.",
    "Thanks to our special guests this week, Jem and Neil.",
    "I work for Fastly. Fastly is a content network.",
]


def judged(case: str) -> tuple[list[str], list[bool], list[bool]]:
    """The sentences of a case, which were marked, and which are found."""
    paragraphs = [part.strip() for part in case.split("|")]
    transcript = "\n\n".join(
        f"**Ada:** {text}" if n == 0 else text for n, text in enumerate(part.replace("$", "") for part in paragraphs)
    )
    episode = read_episode(transcript + "\n\n**Charles:** Yes, Linode and Equinox and Acme.")
    said = [sentence.text.strip() for sentence in episode.all_sentences]
    marked = [sentence for part in paragraphs for sentence in _marked(part)]
    found = [flag for flags in ads_of(episode) for flag in flags]
    assert not found[-1], "the next speaker is no part of it"
    return said[:-1], marked, found[:-1]


def _marked(paragraph: str) -> list[bool]:
    sentences = read_episode(f"**Ada:** {paragraph.replace('$', '€ ')}").all_sentences
    return [sentence.text.lstrip().startswith("€") for sentence in sentences]


@pytest.mark.parametrize("case", ADS)
def test_ad_reads_are_found_from_beginning_to_end(case):
    said, marked, found = judged(case)
    assert dict(zip(said, found, strict=True)) == dict(zip(said, marked, strict=True))


@pytest.mark.parametrize("case", NO_ADS)
def test_talk_of_sponsors_and_codes_is_no_ad_read(case):
    said, _, found = judged(case)
    assert [one for one, flag in zip(said, found, strict=True) if flag] == []


def test_thanks_to_a_speaker_advertise_nobody():
    episode = read_episode("**Linode Smith:** Hi.\n\n**Ada:** Thanks to our sponsor Linode.")
    assert ads_of(episode) == [[False], [False]]


def test_a_sponsor_named_at_the_start_is_known_later_on():
    named = "**Ada:** Today's show is sponsored by Mint Tea.\n\n**Bob:** Mint Tea?\n\n"
    later = "**Ada:** Get two months for free from Mint Tea at tea.dev/show.\n\nIt is hot. Mint Tea is green. So what?"
    assert ads_of(read_episode(named + later))[2:] == [[True], [True, True, False]]


def test_what_stands_under_an_advertising_label_is_an_ad_read_in_any_language():
    episode = read_episode("**Ada:** Hallo.\n\n**Sponsor:** Kauft Tee. Er schmeckt.\n\n**Ada:** Weiter.")
    assert ads_of(episode) == [[False], [True, True], [False]]


@pytest.mark.parametrize(
    "unit",
    [
        "Today's show is sponsored by Linode. ",
        "Use the code gotime20 for 20% off. ",
        "use code ",
        "Show show Show ",
        "Today's show is sponsored by Ab{n}. ",
        "A B C ",
        "thanks our ",
        "a.com/b ",
        "20% off ",
    ],
)
def test_no_text_takes_more_than_linear_time(unit):
    def seconds(count):
        episode = read_episode("**Ada:** " + "".join(unit.replace("{n}", str(n)) for n in range(count)))
        started = time.process_time()
        ads_of(episode)
        return time.process_time() - started

    assert seconds(8_000) < 12 * max(seconds(2_000), 0.05)
