from __future__ import annotations

import pytest

from detectors.phrases.lexicon import LexiconError, Phrase, lexicon_of, parse_pack

HEAD = '[defaults.abuse]\nseverity = "warning"\nspeaker = "agent"\nnegation = ["不是"]\n\n'


def entry(**values: str) -> str:
    lines = {"id": '"abuse.zh.001"', "phrase": '"骗子"', **values}
    return "[[phrase]]\n" + "".join(f"{key} = {value}\n" for key, value in lines.items() if value)


def errors_of(text: str) -> tuple[str, ...]:
    with pytest.raises(LexiconError) as caught:
        parse_pack(text, "general.zh.toml")
    return caught.value.errors


def test_an_entry_takes_what_it_does_not_say_from_its_category() -> None:
    (phrase,) = parse_pack(HEAD + entry(aliases='["片子手"]', allow='["防骗子"]', action='"mask"'), "p")
    assert phrase == Phrase(
        "abuse.zh.001",
        "骗子",
        "abuse",
        severity="warning",
        action="mask",
        speaker="agent",
        aliases=("片子手",),
        allow=("防骗子",),
        negation=("不是",),
    )


def test_the_category_is_the_first_part_of_the_id_unless_it_is_given() -> None:
    given, implied = parse_pack(entry(category='"threat"') + entry(id='"policy.zh.001"'), "p")
    assert (given.category, implied.category) == ("threat", "policy")


@pytest.mark.parametrize(
    ("values", "line", "words"),
    [
        ({"severity": '"hoch"'}, 4, ("hoch", '"info" or "warning" or "critical"')),
        ({"action": '"drop"'}, 4, ("drop", '"block"')),
        ({"speaker": '"bot"'}, 4, ("bot", '"agent"')),
        ({"pinyin": '"some"'}, 4, ("some", '"full"')),
        ({"phrse": '"x"'}, 4, ("phrse", "did you mean phrase?")),
        ({"phrase": '"！！ 😀"'}, 3, ("is empty", "write letters or digits")),
        ({"phrase": '"\\u200b"'}, 3, ("is empty", "write letters or digits")),
        ({"phrase": '"保证**退款"'}, 3, ("two stars", "one *")),
        ({"phrase": '"f*k"'}, 3, ("single Latin letter", "whole word")),
        ({"phrase": f'"{"骗" * 65}"'}, 3, ("65 characters", "at most 64")),
        ({"phrase": "5"}, 3, ("phrase is not a text", 'phrase = "..."')),
        ({"phrase": ""}, 1, ("has no phrase", 'phrase = "..."')),
        ({"id": ""}, 1, ("has no id", 'id = "..."')),
        ({"id": '"insult-7"'}, 2, ("insult-7", "abuse.zh.017")),
        ({"aliases": '"骗"'}, 4, ("aliases is not a list", '["one", "two"]')),
        ({"aliases": '["骗子", "。"]'}, 4, ("without a letter", "take it out")),
        ({"gap": "3"}, 4, ("no * inside", "保证*退款")),
        ({"gap": "true"}, 4, ("gap = True", "whole number")),
    ],
)
def test_an_error_names_file_and_line_and_what_to_write(
    values: dict[str, str], line: int, words: tuple[str, ...]
) -> None:
    (error,) = errors_of(entry(**values))
    assert error.startswith(f"general.zh.toml:{line}: ")
    assert all(word in error for word in words), error


def test_all_errors_of_a_pack_come_at_once() -> None:
    text = entry(severity='"hoch"') + entry(id='"abuse.zh.002"', phrase='"。"')
    assert [error.split(": ")[0] for error in errors_of(text)] == ["general.zh.toml:4", "general.zh.toml:7"]


def test_an_id_that_stands_twice_is_refused_within_and_across_packs() -> None:
    (error,) = errors_of(entry() + entry())
    assert error.startswith("general.zh.toml:5: id abuse.zh.001 stands in general.zh.toml:2 already")
    with pytest.raises(LexiconError, match=r"b\.toml:2: id abuse\.zh\.001 stands in a\.toml already; write another"):
        lexicon_of({"a.toml": entry(), "b.toml": entry()})


def test_a_lexicon_has_the_errors_of_all_its_packs() -> None:
    with pytest.raises(LexiconError) as caught:
        lexicon_of({"a.toml": entry(action='"x"'), "b.toml": "[[phrase]\n", "c.toml": entry()})
    assert [error.split(": ")[0] for error in caught.value.errors] == ["a.toml:4", "b.toml:1"]


def test_what_is_not_toml_is_refused_with_its_line() -> None:
    (error,) = errors_of('[[phrase]]\nid = "abuse.zh.001\n')
    assert error.startswith("general.zh.toml:2: not TOML")
    (error,) = errors_of('[[words]]\nid = "abuse.zh.001"\n')
    assert "[[phrase]]" in error


def test_defaults_are_checked_too() -> None:
    (error,) = errors_of('[defaults.abuse]\naction = "drop"\n')
    assert "[defaults.abuse]" in error and '"block"' in error
    (error,) = errors_of('[defaults]\naction = "block"\n')
    assert "[defaults.abuse]" in error


def test_packs_stay_in_order() -> None:
    lexicon = lexicon_of({"a": entry(id='"abuse.zh.002"'), "b": entry()})
    assert [phrase.id for phrase in lexicon.phrases] == ["abuse.zh.002", "abuse.zh.001"]
