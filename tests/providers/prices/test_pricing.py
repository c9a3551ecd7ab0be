# SPDX-License-Identifier: Apache-2.0
"""Which prices hold when, how they are named, and what an operator may write; the catalogue finds what is meant."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from apps.providers import catalogue_refresh
from apps.providers.catalogue import SNAPSHOT, Catalogue, Dated, Entry, catalogue, matches
from apps.providers.pricing import Override, Sources, document, read_prices, split, timeline
from apps.providers.rates import PriceList

D = Decimal
DAY = 86_400_000
ENTRY = Entry(
    provider="acme",
    id="m",
    match={"equals": "m"},
    history=(
        Dated("", PriceList(input=D(1), output=D(2))),
        Dated("1970-01-11", PriceList(input=D(3), output=D(4))),
    ),
)
FIXED = PriceList(input=D(7), output=D(8))


def said(sources: Sources) -> list[tuple[int, str, str, str]]:
    return [(one.from_ms // DAY, str(one.input), str(one.margin), one.version) for one in timeline(sources)]


class TestTimeline:
    def test_published_prices_from_their_dates(self) -> None:
        found = said(Sources(entry=ENTRY))

        assert [one[:3] for one in found] == [(0, "1", "0"), (10, "3", "0")]
        assert found[0][3].startswith("acme/m@first#")
        assert found[1][3].startswith("acme/m@1970-01-11#")

    def test_an_override_counts_for_its_time_and_only_then(self) -> None:
        own = Override("prc_1.1", 5 * DAY, 12 * DAY, PriceList(input=D(9)), D(10))

        found = said(Sources(own=[own], entry=ENTRY))

        assert [one[:3] for one in found] == [(0, "1", "0"), (5, "9", "10"), (12, "3", "0")]
        assert found[1][3] == "prc_1.1"

    def test_a_margin_alone_leaves_the_prices(self) -> None:
        own = Override("prc_1.2", 5 * DAY, margin=D(10))

        found = said(Sources(own=[own], entry=ENTRY))

        assert [one[:3] for one in found] == [(0, "1", "0"), (5, "1", "10"), (10, "3", "10")]
        assert found[2][3].endswith("+prc_1.2")

    def test_the_models_own_word_beats_a_general_margin(self) -> None:
        general = Override("prc_g.1", 0, margin=D(20))
        own = Override("prc_1.1", 5 * DAY, 6 * DAY, margin=D(0))

        assert [one[:3] for one in said(Sources(own=[own], general=[general], fixed=FIXED))] == [
            (0, "7", "20"),
            (5, "7", "0"),
            (6, "7", "20"),
        ]

    def test_rates_on_the_model_beat_the_catalogue(self) -> None:
        assert said(Sources(fixed=FIXED, fixed_version="4", entry=ENTRY)) == [(0, "7", "0", "4")]

    def test_where_no_price_is_known_none_is_made_up(self) -> None:
        own = Override("prc_1.1", 5 * DAY, 6 * DAY, PriceList(input=D(9)))

        found = timeline(Sources(own=[own], general=[Override("prc_g.1", 0, margin=D(20))]))

        assert [split(found, at * DAY)[0] is None for at in (0, 5, 6)] == [True, False, True]
        now, later = split(found, 2 * DAY)
        assert (now, [one.from_ms // DAY for one in later]) == (None, [5, 6])

    def test_the_name_of_a_price_says_when_it_changes(self) -> None:
        dearer = Entry(provider="acme", id="m", match={}, history=(Dated("", PriceList(input=D(2))),))
        same = Entry(provider="acme", id="m", match={}, history=ENTRY.history)

        assert timeline(Sources(entry=same))[0].version == timeline(Sources(entry=ENTRY))[0].version
        assert timeline(Sources(entry=dearer))[0].version != timeline(Sources(entry=ENTRY))[0].version


class TestDocument:
    def test_what_is_written_is_read_again(self) -> None:
        raw = {
            "input": "2.50",
            "output": 10,
            "cached_input": "0.25",
            "tools": {"web_search": "10"},
            "tiers": [{"above": 200000, "input": "5"}],
            "services": {"batch": {"input": "1.25", "tiers": [{"above": 200000, "input": "2.5"}]}},
            "windows": [{"start": 60, "end": 240, "days": [0, 1], "input": "5"}],
        }
        found = read_prices(raw)

        assert read_prices(document(found)) == found
        assert found.services["batch"].tiers[0].input == D("2.5")

    @pytest.mark.parametrize(
        ("raw", "part"),
        [
            ([], "object"),
            ({"inputs": "1"}, "no field inputs"),
            ({"version": "1"}, "no field version"),
            ({"margin": "1"}, "no field margin"),
            ({"input": 0.1}, "as text"),
            ({"input": "-1"}, "no price"),
            ({"input": "NaN"}, "no price"),
            ({"input": "Infinity"}, "no price"),
            ({"input": "1e20"}, "no price"),
            ({"input": "0.0000000000000001"}, "no price"),
            ({"input": None}, "dollars as text"),
            ({"input": "two"}, "dollars as text"),
            ({"tools": {"web_search": "-1"}}, "tools"),
            ({"tiers": [{"input": "1"}]}, "above"),
            ({"tiers": [{"above": 0}]}, "in order"),
            ({"tiers": [{"above": 5}, {"above": 5}]}, "in order"),
            ({"tiers": [{"above": 5, "input": 0.5}]}, "tiers[0]"),
            ({"services": {"batch": {"input": "-2"}}}, "services.batch"),
            ({"services": {"batch": {"surprise": "2"}}}, "services.batch"),
            ({"services": {"batch": {"services": {}}}}, "services.batch"),
            ({"windows": [{"start": 0, "end": 0}]}, "windows[0]"),
            ({"windows": [{"start": 0, "end": 2000}]}, "windows[0]"),
            ({"windows": [{"start": 0, "end": 9, "days": [7]}]}, "Monday"),
        ],
    )
    def test_what_is_no_price_is_refused_with_its_place(self, raw: Any, part: str) -> None:
        with pytest.raises(ValueError, match=r".") as fault:
            read_prices(raw)
        assert part in str(fault.value)


class TestCatalogue:
    @pytest.mark.parametrize(
        ("provider", "model", "found"),
        [
            ("openai", "gpt-4o-2024-11-20", "openai/gpt-4o"),
            ("openai", "GPT-4o", "openai/gpt-4o"),
            ("azure", "gpt-4o", "openai/gpt-4o"),
            ("google", "gemini-2.5-pro", "google/gemini-2.5-pro"),
            ("anthropic", "claude-haiku-4-5-20251001", "anthropic/claude-haiku-4-5"),
        ],
    )
    def test_names_that_requests_use(self, provider: str, model: str, found: str) -> None:
        entry = catalogue().find(provider, model)
        assert entry is not None
        assert f"{entry.provider}/{entry.id}" == found

    @pytest.mark.parametrize(
        ("provider", "model"), [("nobody", "gpt-4o"), ("openai", "nothing"), ("openai", ""), ("", "x")]
    )
    def test_what_it_does_not_have(self, provider: str, model: str) -> None:
        assert catalogue().find(provider, model) is None

    @pytest.mark.parametrize(
        ("address", "provider"),
        [
            ("https://api.openai.com/v1", "openai"),
            ("https://api.anthropic.com", "anthropic"),
            ("https://generativelanguage.googleapis.com/v1beta", "google"),
            ("https://my.openai.azure.com/openai/v1", "azure"),
            ("http://127.0.0.1:8000/v1", None),
        ],
    )
    def test_providers_by_their_address(self, address: str, provider: str | None) -> None:
        source = catalogue().source_of(address)
        assert (source and source.provider) == provider

    def test_search_takes_all_words(self) -> None:
        found = list(catalogue().search("claude haiku", "anthropic"))
        assert found
        assert all("haiku" in entry.id for entry in found)

    def test_every_price_in_it_is_one(self) -> None:
        count = 0
        for entry in catalogue().search():
            for dated in entry.history:
                assert read_prices(document(dated.prices)) == dated.prices, entry.id
                count += 1
            assert [dated.from_ms for dated in entry.history] == sorted({d.from_ms for d in entry.history})
        assert count > 2000

    @pytest.mark.parametrize(
        ("clause", "text", "met"),
        [
            ({"equals": "A"}, "a", True),
            ({"starts_with": "a"}, "ab", True),
            ({"ends_with": "a"}, "ab", False),
            ({"contains": "b"}, "abc", True),
            ({"regex": "^a.c$"}, "abc", True),
            ({"or": [{"equals": "x"}, {"equals": "a"}]}, "a", True),
            ({"and": [{"contains": "x"}, {"contains": "a"}]}, "a", False),
            ({}, "", False),
        ],
    )
    def test_conditions(self, clause: dict[str, Any], text: str, met: bool) -> None:
        assert matches(clause, text) is met


class TestRefresh:
    def test_the_snapshot_is_what_the_package_makes(self, tmp_path: Path) -> None:
        made = tmp_path / "made.jsonl"

        assert catalogue_refresh.write(made) > 0
        assert catalogue_refresh.write(made) == 0
        assert made.read_bytes().partition(b"\n")[2] == SNAPSHOT.read_bytes().partition(b"\n")[2]
        assert Catalogue(made.read_bytes()).meta.digest == catalogue().meta.digest

    def test_without_the_package_it_says_what_is_missing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(catalogue_refresh, "PACKAGE", "no-such-price-package")

        with pytest.raises(catalogue_refresh.MissingPackageError, match="no-such-price-package"):
            catalogue_refresh.snapshot()
