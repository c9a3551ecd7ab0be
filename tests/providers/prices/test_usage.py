# SPDX-License-Identifier: Apache-2.0
"""One form of usage: partial reports merge, parts stay within their wholes, records keep what was counted."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.providers.usage import MOST, Partial, Usage, from_record, merge, total

COUNTS = {name: st.none() | st.integers(-5, 10**6) for name in Partial.__struct_fields__ if name != "tools"}
PARTIALS = st.builds(
    Partial, **COUNTS, tools=st.none() | st.dictionaries(st.sampled_from(["a", "b"]), st.integers(-1, 9))
)


def test_a_stream_reports_in_pieces() -> None:
    start = Partial(fresh=25, cache_read=100, cache_write_1h=7, visible=1)
    end = Partial(visible=15, reasoning=5, tools={"web_search": 2})

    assert merge(merge(None, start), end).whole() == Usage(
        input=132, output=20, cache_read=100, cache_write_1h=7, reasoning=5, tools={"web_search": 2}
    )


def test_what_is_known_later_holds_even_where_it_is_nothing() -> None:
    earlier = Partial(input=10, output=3, tools={"a": 1, "b": 1})

    later = merge(earlier, Partial(output=0, tools={"b": 4}))

    assert later.whole() == Usage(input=10, output=0, tools={"a": 1, "b": 4})


def test_a_whole_beats_its_rest() -> None:
    assert Partial(input=10, fresh=3, cache_read=2).whole().input == 10
    assert Partial(cache_read=2).whole().input == 2
    assert Partial(reasoning=4).whole().output == 4


@given(PARTIALS)
def test_parts_stay_within_their_wholes(partial: Partial) -> None:
    usage = partial.whole()

    assert usage.cache_read + usage.cache_write_5m + usage.cache_write_1h <= usage.input
    assert max(usage.audio_input, usage.image_input, usage.video_input) <= usage.input
    assert max(usage.reasoning, usage.audio_output, usage.image_output) <= usage.output
    assert usage.cached_audio <= min(usage.cache_read, usage.audio_input)
    assert usage.fresh >= 0
    assert usage.visible == usage.output - usage.reasoning
    assert all(count >= 0 for count in (*usage.tools.values(), usage.input, usage.images, usage.seconds))


@given(PARTIALS)
def test_records_keep_it(partial: Partial) -> None:
    usage = partial.whole()

    assert from_record(json.loads(json.dumps(usage.to_record()))) == usage


@given(PARTIALS, PARTIALS, PARTIALS)
def test_merging_has_no_order_of_its_own(one: Partial, two: Partial, three: Partial) -> None:
    assert merge(merge(one, two), three) == merge(one, merge(two, three))
    assert merge(one, one) == one


def test_records_say_only_what_was_counted() -> None:
    assert Usage(input=3).to_record() == {"input": 3}
    assert Usage().to_record() == {}


def test_a_count_of_a_later_version_is_passed_over() -> None:
    assert from_record({"input": 3, "thoughts_of_the_future": 7}) == Usage(input=3)


@pytest.mark.parametrize("stored", [{"input": "three"}, {"tools": [1]}, {"output": 1.5}])
def test_what_is_no_usage_is_refused(stored: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="not a usage"):
        from_record(stored)


def test_a_provider_that_claims_more_than_there_can_be_is_not_believed() -> None:
    assert Partial(input=10**30).whole().input == MOST


def test_several_calls_together() -> None:
    one = Usage(input=1, output=2, tools={"a": 1})
    two = Usage(input=10, reasoning=0, tools={"a": 2, "b": 1})

    assert total(one, two) == Usage(input=11, output=2, tools={"a": 3, "b": 1}, requests=2)
    assert total() == Usage(requests=0)
    assert one.cached == 0
