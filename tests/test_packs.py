from __future__ import annotations

import re
from collections import Counter
from functools import cache

import pytest

from alerts.packs import shipped_packs
from detectors.phrases.boundaries import chinese_words
from detectors.phrases.engine import PhraseEngine, action_of
from detectors.phrases.lexicon import Lexicon, lexicon_of, parse_pack
from tests.builders_phrases import chat_rows, chat_texts

PACKS = shipped_packs()
CATEGORIES = {"abuse", "threat", "promise", "privacy", "discrimination", "off_platform", "policy"}


@cache
def shipped() -> Lexicon:
    return lexicon_of(PACKS)


@cache
def engine() -> PhraseEngine:
    return PhraseEngine(shipped(), chinese_words)


def test_there_is_a_pack_for_each_trade_in_both_languages() -> None:
    trades = ("ecommerce", "finance", "general", "telecom")
    assert list(PACKS) == [f"{trade}.{language}.toml" for trade in trades for language in ("en", "zh")]


@pytest.mark.parametrize("name", PACKS)
def test_a_pack_is_of_its_language_and_of_known_categories(name: str) -> None:
    phrases = parse_pack(PACKS[name], name)
    assert 150 <= len(phrases) <= 400
    assert {phrase.category for phrase in phrases} <= CATEGORIES
    assert {phrase.id.split(".")[1] for phrase in phrases} == {name.split(".")[1]}


def test_ids_are_unique_and_no_phrase_stands_twice() -> None:
    assert max(Counter(phrase.id for phrase in shipped().phrases).values()) == 1
    written = Counter(spelling for phrase in shipped().phrases for spelling in phrase.spellings)
    assert [text for text, times in written.items() if times > 1] == []


def test_every_spelling_finds_its_entry() -> None:
    lost = []
    for phrase in shipped().phrases:
        alone = PhraseEngine(Lexicon((phrase,)), chinese_words)
        for spelling in phrase.spellings:
            text = re.sub(r"\*", " ", spelling)
            if not alone.read(text, "agent").hits:
                lost.append((phrase.id, spelling))
    assert lost == []


def test_every_spelling_is_found_among_all_and_acted_on_as_strongly() -> None:
    strength = ("allow", "mask", "review", "block")
    weaker = []
    for phrase in shipped().phrases:
        for spelling in phrase.spellings:
            hits = engine().read(spelling.replace("*", " "), "agent").hits
            if strength.index(action_of(hits)) < strength.index(phrase.action) or not hits:
                weaker.append((phrase.id, spelling))
    assert weaker == []


# One row for each phrase that must be there, in a sentence as it is said.
@pytest.mark.parametrize(
    ("text", "category", "action"),
    [
        ("你是不是傻瓜啊", "abuse", "block"),
        ("你这个骗子", "abuse", "block"),
        ("你给我滚！", "abuse", "block"),
        ("少废话，等着", "abuse", "mask"),
        ("您加我微信吧，方便", "off_platform", "block"),
        ("您可以私下转账给我", "off_platform", "block"),
        ("我们保证退款的", "promise", "block"),
        ("放心，考试包过", "promise", "block"),
        ("这个理财稳赚", "promise", "block"),
        ("绝对没风险的", "promise", "block"),
        ("您直接把密码发给我就行", "privacy", "block"),
        ("麻烦把验证码告诉我", "privacy", "block"),
        ("再投诉我找人去你家", "threat", "block"),
        ("you moron", "abuse", "block"),
        ("what an idiot", "abuse", "block"),
        ("please shut up", "abuse", "block"),
        ("Give me the verification code please", "privacy", "block"),
        ("now tell me your password", "privacy", "block"),
        ("this is a guaranteed return", "promise", "block"),
        ("add me on WhatsApp", "off_platform", "block"),
    ],
)
def test_what_must_be_stopped_is_stopped(text: str, category: str, action: str) -> None:
    hits = engine().read(text, "agent").hits
    assert category in {hit.category for hit in hits}
    assert action_of(hits) == action


@pytest.mark.parametrize(
    "text",
    [
        "请不要把密码发给我",
        "千万别把验证码告诉我，我们不会问您",
        "我们绝不会让您私下转账",
        "我们不能保证退款的时间",
        "没有任何投资是包赚不赔的",
        "请谨防骗子",
        "滚筒洗衣机和滚动条",
        "请您按页面操作",
        "增加微信支付",
        "红包过期了会退回",
        "We will never ask you to tell me your password",
        "I cannot promise a guaranteed return",
        "Please reset your account password in the app",
        "The class assessment passed, hello Scunthorpe",
        "Would you like to shut down, or set up the account?",
    ],
)
def test_what_an_agent_should_say_goes_through(text: str) -> None:
    assert engine().read(text, "agent").hits == ()


def test_a_customer_may_be_angry() -> None:
    assert engine().read("你们都是骗子，shut up", "customer").hits == ()


# Limits of the design are 0.1 % for Chinese turns; English queries are held tighter than the 0.05 % asked for at first.
# Read as the agent's words, for which the packs are written.
@pytest.mark.parametrize(("name", "most"), [("crosswoz_val.jsonl", 0.001), ("banking77_train.jsonl", 0.0002)])
def test_ordinary_service_turns_are_left_alone(name: str, most: float) -> None:
    texts = chat_texts(name)
    hit = [text for text in texts if engine().read(text, "agent").hits]
    assert len(texts) > 8_000
    assert len(hit) <= most * len(texts), hit


def test_the_packs_find_abuse_in_real_text() -> None:
    # Tweets labelled offensive or hateful: a list of words must find some, and far fewer among the others. Most of the
    # words there are slurs of a kind agents do not use, so the share found stays well below a profanity list's 94 %.
    rows = chat_rows("davidson_first_half.jsonl")
    counts = Counter((row["label"], bool(engine().read(row["text"], "agent").hits)) for row in rows)
    rates = {label: counts[label, True] / (counts[label, True] + counts[label, False]) for label in (0, 1)}
    assert rates[1] > 0.5
    assert rates[0] < 0.1
