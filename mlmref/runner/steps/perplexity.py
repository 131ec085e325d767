"""The perplexity of a model in memory (clauses API-011 and API-012)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlmref.base.errors import CorpusError
from mlmref.base.number_format import level, number, span
from mlmref.base.progress import of_a_library
from mlmref.runner.steps.models import check_model, tokenizer_of
from mlmref.runner.steps.settings import with_strategy
from mlmref.runner.steps.text import chunk, tokenize

if TYPE_CHECKING:
    import datasets
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from mlmref.base.progress import Reporter
    from mlmref.data.chunks import Chunks
    from mlmref.data.corpus.corpus import Corpus
    from mlmref.plugin.contracts import Corruption, StrategyEntry

CHUNK_SIZE = 128
"""The most tokens in a chunk, if the model reads more and nothing else is given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Perplexity:
    """A perplexity with its interval; ``float`` gives its value.

    Attributes:
        value: the exponential of ``nll``.
        low, high: the bootstrap interval over documents; NaN with fewer than two documents.
        confidence: the confidence level of the interval.
        nll: the mean negative log-likelihood of a target, in nats: the cross-entropy.
        accuracy: the share of targets whose true token was the model's first choice.
        targets: the number of targets.
        chunks: the number of chunks.
        documents: the number of documents that have a target.
    """

    value: float
    low: float
    high: float
    confidence: float
    nll: float
    accuracy: float
    targets: int
    chunks: int
    documents: int

    def __float__(self) -> float:
        return self.value

    def __repr__(self) -> str:
        interval = f"{level(self.confidence)} interval {span(self.low, self.high, ',.2f')}"
        return f"Perplexity({number(self.value)}, {interval}, {self.targets:,} targets)"


def perplexity(
    model: PreTrainedModel,
    tokenizer: str | PreTrainedTokenizerBase,
    texts: Iterable[str] | Corpus | datasets.Dataset | Chunks,
    strategy: str | StrategyEntry = "token",
    *,
    seed: int = 42,
    corruption: str | Corruption | None = None,
    chunk_size: int | None = None,
    batch_size: int = 64,
    confidence: float = 0.95,
    reporter: Reporter | None = None,
    **options: Any,
) -> Perplexity:
    """Return the perplexity of a model on texts, with its interval.

    The figure is exact: the losses are summed over all targets and divided by their number, so it
    does not depend on the batch size (E09). The masks are fixed by the seed, so two models, or one
    model before and after training, are measured on the same task (E10). The model does not
    change, and stays in training mode if it was.

    >>> import mlmref
    >>> model, tokenizer = mlmref.load_model(), mlmref.load_tokenizer()
    >>> texts = [f"This is a great film, number {n}." for n in range(100)]
    >>> measured = mlmref.perplexity(model, tokenizer, texts)
    >>> measured
    Perplexity(49.10, 95% interval 33.39 to 76.96, 134 targets)
    >>> float(measured) == measured.value
    True

    Args:
        model: any masked language model of Transformers, on any device.
        tokenizer: its tokenizer, or the name of its model.
        texts: texts, a corpus, or chunks. A dataset has a column ``input_ids`` (each row is a chunk
            and a document, see :func:`mlmref.from_dataset`) or ``text``.
        strategy: the name of a masking strategy, or the entry of your own.
        seed: the seed of the masks and of the bootstrap.
        corruption: percentages MASK/RANDOM/KEEP, such as ``80/10/10``; by default the strategy's.
        chunk_size: the tokens in a chunk; by default 128, or fewer if the model reads fewer. The
            texts are joined and cut; the last chunk is shorter, and nothing is dropped.
        batch_size: chunks in a forward pass; changes memory and speed only.
        confidence: the confidence level of the interval.
        reporter: shows the progress; by default a bar in a notebook, and nothing elsewhere.
        options: the strategy's options, such as ``mlm_probability``.

    Raises:
        ConfigError: an argument is invalid.
        CorpusError: the texts or the dataset cannot be used.
        ModelError: model and tokenizer do not fit each other, or the model fails.
        PluginError: there is no such strategy, or it fails.
    """
    from mlmref.data.chunks import Chunks, check_size
    from mlmref.evaluation.perplexity import evaluate
    from mlmref.model.checks import check_tokenizer
    from mlmref.model.loss import MaskedLMObjective
    from mlmref.model.max_length import max_length
    from mlmref.model.trial import failed
    from mlmref.runner.text import masker_of_chunks

    where = "mlmref.perplexity"
    check_model(model, where)
    words = tokenizer_of(tokenizer)
    name = model.name_or_path or type(model).__name__
    check_tokenizer(name, model, words)
    measuring = {"batch_size": batch_size, "confidence": confidence}
    context = with_strategy(where, strategy, options, corruption, seed, evaluation=measuring)
    longest = max_length(model, words)
    size = min(CHUNK_SIZE, longest) if chunk_size is None else chunk_size
    chunks = texts if isinstance(texts, Chunks) else _chunks(texts, words, size)
    check_size(chunks.rule, longest)
    masker = masker_of_chunks(context, chunks, name)
    try:
        objective = MaskedLMObjective(model, length=chunks.rule.size)
        objective.trial_losses()
    except Exception as error:
        what = f"chunks of {chunks.rule.size:,} tokens"
        raise failed(error, model, what, name, lambda: "use another chunk_size") from error
    found = evaluate(
        objective, chunks, masker, batch_size=batch_size, reporter=of_a_library(reporter)
    )
    low, high = found.interval(context.config.evaluation, seed)
    return Perplexity(
        value=found.perplexity,
        low=low,
        high=high,
        confidence=confidence,
        nll=found.nll,
        accuracy=found.accuracy,
        targets=found.targets,
        chunks=len(chunks),
        documents=len(found.documents),
    )


def _chunks(texts: Any, tokenizer: PreTrainedTokenizerBase, size: int) -> Chunks:
    """Return the chunks of texts, or of a dataset that has ``input_ids`` or ``text``."""
    from datasets import Dataset

    from mlmref.data.from_dataset import from_dataset

    if isinstance(texts, Dataset):
        if "input_ids" in texts.column_names:
            return from_dataset(texts, tokenizer)
        if "text" not in texts.column_names:
            raise CorpusError(
                f"no column 'input_ids' or 'text' in {', '.join(texts.column_names)}",
                where="mlmref.perplexity",
                hint="rename the column that has the texts to text",
            )
        texts = texts["text"]
    elif isinstance(texts, str):
        raise CorpusError(
            "one text where several are needed",
            where="mlmref.perplexity",
            hint="give a list of texts, or mlmref.load_corpus of a file",
        )
    return chunk(tokenize(texts, tokenizer), size, remainder="pad")
